// What this machine can do at best, measured with the engine's own threads: the limits that its speed is
// held against. Times are handed back pass by pass; judging them is the caller's.
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "guard.h"
#include "matrix.h"
#include "memory.h"
#include "threads.h"

namespace ob {

namespace {

constexpr std::size_t kReadStep = 256;
// One panel of weights and the rows it meets stay in the first two caches of a core.
constexpr int kProbeRows = 24;
constexpr int kProbeDepth = 768;
constexpr int kProbeProducts = 400;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Runs part(worker) on all threads at once and returns how long all of it took.
template <class Part>
double timed(ThreadPool& pool, Part&& part) {
  double start = 0;
  double end = 0;
  pool.team([&](int worker, Barrier& barrier) {
    barrier.wait(worker, [] {});
    if (worker == 0) start = seconds_now();
    part(worker);
    barrier.wait(worker, [] {});
    if (worker == 0) end = seconds_now();
  });
  return end - start;
}

void probe_read(ThreadPool& pool, std::size_t bytes, int passes, double* seconds) {
  const auto threads = static_cast<std::size_t>(pool.size());
  const std::size_t part = bytes / threads / kReadStep * kReadStep;
  if (part == 0) throw std::invalid_argument("fewer bytes than a step of every thread");
  const Memory memory(part * threads);
  auto* start = memory.as<std::uint8_t>();
  std::memset(start, 1, part * threads);
  std::vector<std::int32_t> seen(threads * 16);  // a cache line each
  for (int pass = 0; pass < passes; ++pass) {
    seconds[pass] = timed(pool, [&](int worker) {
      const auto at = static_cast<std::size_t>(worker);
      seen[at * 16] += pool.kernels().read(start + at * part, part);
    });
  }
}

// Operands of one thread's products: its own, so that nothing is shared.
struct ProbeOperands {
  ProbeOperands(ThreadPool& pool, Precision precision)
      : bytes(matrix_bytes(pool.kernels(), precision, kPanel, kProbeDepth)),
        memory(bytes.weights + bytes.scales + bytes.sums + sizeof(float) * kProbeRows * (kProbeDepth + kPanel)) {
    auto* start = memory.as<std::uint8_t>();
    matrix.precision = precision;
    matrix.n = kPanel;
    matrix.k = kProbeDepth;
    matrix.weights = start;
    matrix.scales = reinterpret_cast<float*>(start + bytes.weights);
    matrix.sums = reinterpret_cast<std::int32_t*>(start + bytes.weights + bytes.scales);
    x = reinterpret_cast<float*>(start + bytes.weights + bytes.scales + bytes.sums);
    y = x + kProbeRows * kProbeDepth;
    std::vector<float> rows(static_cast<std::size_t>(kPanel) * kProbeDepth);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<float>(i % 17) - 8.0f;
    pack(pool, matrix, rows.data());
    std::memcpy(x, rows.data(), sizeof(float) * kProbeRows * kProbeDepth);
  }

  MatrixBytes bytes;
  Memory memory;
  Matrix matrix;
  float *x, *y;
};

void probe_gemm(ThreadPool& pool, Precision precision, int passes, double* seconds) {
  std::vector<ProbeOperands> operands;
  std::vector<Inputs> inputs;
  for (int worker = 0; worker < pool.size(); ++worker) {
    operands.emplace_back(pool, precision);
    inputs.emplace_back(kProbeRows, kProbeDepth);
    const ProbeOperands& own = operands.back();
    inputs.back().convert(pool.kernels(), own.matrix, 0, kProbeRows, own.x, kProbeDepth);
  }
  for (int pass = 0; pass < passes; ++pass) {
    seconds[pass] = timed(pool, [&](int worker) {
      const auto at = static_cast<std::size_t>(worker);
      const ProbeOperands& own = operands[at];
      for (int i = 0; i < kProbeProducts; ++i) {
        multiply(pool.kernels(), own.matrix, inputs[at], {0, kProbeRows, 0, kPanel}, own.x, kProbeDepth,
                 Epilogue::kStore, own.y, kPanel);
      }
    });
  }
}

}  // namespace

}  // namespace ob

OB_API int ob_probe_read(ob::ThreadPool* pool, std::size_t bytes, int passes, double* seconds) {
  return ob::guarded([&] { ob::probe_read(*pool, bytes, passes, seconds); });
}

OB_API int ob_probe_gemm(ob::ThreadPool* pool, int precision, int passes, double* seconds,
                         double* operations) {
  return ob::guarded([&] {
    ob::probe_gemm(*pool, static_cast<ob::Precision>(precision), passes, seconds);
    *operations = 2.0 * ob::kProbeRows * ob::kPanel * ob::kProbeDepth * ob::kProbeProducts * pool->size();
  });
}
