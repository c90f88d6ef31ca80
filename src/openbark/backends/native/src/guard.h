// The border between C++ and C: no exception leaves, its message is kept for the caller to fetch.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>

#include "interface.h"

namespace ob {

// Keeps the message of this thread's last failure for `ob_error`.
void keep_error(const char* message) noexcept;

template <class Body>
int guarded(Body&& body) noexcept {
  try {
    body();
    return OB_OK;
  } catch (const std::invalid_argument& error) {
    keep_error(error.what());
    return OB_INVALID;
  } catch (const std::bad_alloc&) {
    keep_error("out of memory");
    return OB_NO_MEMORY;
  } catch (const std::exception& error) {
    keep_error(error.what());
    return OB_FAILED;
  }
}

}  // namespace ob
