// A checksum for packed weights: as fast as memory, and sensitive to order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ob {

std::uint64_t checksum(const void* bytes, std::size_t n);

}  // namespace ob
