#include "cpu.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif
#endif

namespace ob {

bool isa_available(Isa isa) {
  switch (isa) {
    case Isa::kGeneric:
      return true;
#if defined(__x86_64__)
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Isa::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
#endif
#if defined(__aarch64__)
    case Isa::kNeon:
#if defined(__linux__)
      return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#elif defined(__APPLE__)
      return true;  // every Apple arm64 processor has the dot product instructions
#else
      return false;
#endif
#endif
    default:
      return false;
  }
}

Isa best_isa() {
  for (Isa isa : {Isa::kAvx512, Isa::kAvx2, Isa::kNeon}) {
    if (isa_available(isa)) return isa;
  }
  return Isa::kGeneric;
}

namespace {

int affinity_cores() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

// Cores a quota of `quota` microseconds per `period` amounts to, rounded up; 0 for no quota.
int quota_cores(double quota, double period) {
  if (quota <= 0 || period <= 0) return 0;
  return std::max(1, static_cast<int>((quota + period - 1) / period));
}

int control_group_cores() {
  double quota = 0;
  double period = 0;
  if (std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "re")) {
    // "max 100000" without a quota: the first number then does not parse.
    const int read = std::fscanf(file, "%lf %lf", &quota, &period);
    std::fclose(file);
    return read == 2 ? quota_cores(quota, period) : 0;
  }
  std::FILE* limit = std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re");
  std::FILE* every = std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re");
  int cores = 0;
  if (limit && every && std::fscanf(limit, "%lf", &quota) == 1 &&
      std::fscanf(every, "%lf", &period) == 1) {
    cores = quota_cores(quota, period);
  }
  if (limit) std::fclose(limit);
  if (every) std::fclose(every);
  return cores;
}

}  // namespace

int usable_cores() {
  const int allowed = std::max(1, affinity_cores());
  const int quota = control_group_cores();
  return quota > 0 ? std::min(allowed, quota) : allowed;
}

}  // namespace ob
