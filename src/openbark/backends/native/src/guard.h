// The border between C++ and C: no exception leaves, its message is kept for the caller to fetch.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>

#if defined(_WIN32)
#define OB_API extern "C" __declspec(dllexport)
#else
#define OB_API extern "C" __attribute__((visibility("default")))
#endif

namespace ob {

// Codes of the C interface; the Python side turns them into exceptions.
enum Status : int { kOk = 0, kInvalid = 1, kNoMemory = 2, kFailed = 3 };

// Keeps the message of this thread's last failure for `ob_error`.
void keep_error(const char* message) noexcept;

template <class Body>
int guarded(Body&& body) noexcept {
  try {
    body();
    return kOk;
  } catch (const std::invalid_argument& error) {
    keep_error(error.what());
    return kInvalid;
  } catch (const std::bad_alloc&) {
    keep_error("out of memory");
    return kNoMemory;
  } catch (const std::exception& error) {
    keep_error(error.what());
    return kFailed;
  }
}

}  // namespace ob
