// Which instruction sets the processor offers, and how many cores this process may use.
#pragma once

#include "interface.h"

namespace ob {

// The kernel variants, from slow to fast on one architecture.
enum class Isa : int { kGeneric = OB_ISA_GENERIC, kAvx2 = OB_ISA_AVX2, kAvx512 = OB_ISA_AVX512, kNeon = OB_ISA_NEON };

// True when this build holds the variant and this processor can run it.
bool isa_available(Isa isa);

// The fastest available variant.
Isa best_isa();

// Cores that scheduling affinity and the control group's quota leave to this process; at least 1.
int usable_cores();

}  // namespace ob
