// Which instruction sets the processor offers, and how many cores this process may use.
#pragma once

namespace ob {

// The kernel variants, from slow to fast on one architecture. The numbers are part of the C interface.
enum class Isa : int { kGeneric = 0, kAvx2 = 1, kAvx512 = 2, kNeon = 3 };

// True when this build holds the variant and this processor can run it.
bool isa_available(Isa isa);

// The fastest available variant.
Isa best_isa();

// Cores that scheduling affinity and the control group's quota leave to this process; at least 1.
int usable_cores();

}  // namespace ob
