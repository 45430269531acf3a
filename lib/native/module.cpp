// The solver as a Python module.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <future>

#include "adder_graph.hpp"

namespace nb = nanobind;

namespace {

using Weights = nb::ndarray<const std::int64_t, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
using Bounds = nb::ndarray<const std::int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Depths = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Table = nb::ndarray<nb::numpy, std::int32_t, nb::ndim<2>>;

constexpr auto POLL = std::chrono::milliseconds(50);

/// Rows of `width` numbers as an array that owns them.
Table table(std::vector<std::int32_t> numbers, std::size_t width) {
  auto* owned = new std::vector<std::int32_t>(std::move(numbers));
  nb::capsule owner(owned, [](void* p) noexcept {
    delete static_cast<std::vector<std::int32_t>*>(p);
  });
  return Table(owned->data(), {owned->size() / width, width}, owner);
}

mase::Problem problem_of(const Weights& weights, const Bounds& bounds,
                         const Depths& depths, std::int32_t max_depth) {
  mase::Problem problem;
  problem.inputs = static_cast<std::int64_t>(weights.shape(0));
  problem.outputs = static_cast<std::int64_t>(weights.shape(1));
  problem.height = static_cast<std::int64_t>(weights.shape(2));
  problem.width = static_cast<std::int64_t>(weights.shape(3));
  problem.weights.assign(weights.data(), weights.data() + weights.size());
  for (std::size_t i = 0; i < bounds.shape(0); ++i) {
    problem.ranges.push_back({bounds(i, 0), bounds(i, 1)});
    problem.depths.push_back(depths(i));
  }
  problem.max_depth = max_depth;
  return problem;
}

nb::tuple solve(const Weights& weights, const Bounds& bounds, const Depths& depths,
                std::int32_t max_depth, int effort, int threads,
                const nb::callable& progress) {
  const mase::Problem problem = problem_of(weights, bounds, depths, max_depth);
  mase::Control control;
  mase::Graph graph;
  {
    auto running = std::async(std::launch::async, [&] {
      return mase::solve(problem, effort, threads, control);
    });
    // Python errors, an interrupt among them, stop the solver and are raised here.
    try {
      while (true) {
        {
          nb::gil_scoped_release release;
          if (running.wait_for(POLL) == std::future_status::ready) break;
        }
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
        progress(control.done.load(), control.total.load());
      }
    } catch (...) {
      control.cancelled = true;
      nb::gil_scoped_release release;
      running.wait();
      throw;
    }
    graph = running.get();
  }
  progress(control.done.load(), control.total.load());
  std::vector<std::int32_t> nodes;
  for (const mase::Node& node : graph.nodes) {
    if (node.a < 0) continue;
    nodes.insert(nodes.end(), {node.a, node.b, node.shift_a, node.shift_b,
                               node.subtract ? 1 : 0, node.tap.y, node.tap.x});
  }
  std::vector<std::int32_t> outputs;
  for (const mase::Output& output : graph.outputs) {
    outputs.insert(outputs.end(),
                   {output.node, output.shift, output.negative ? 1 : 0,
                    output.tap.y, output.tap.x});
  }
  return nb::make_tuple(table(std::move(nodes), 7), table(std::move(outputs), 5));
}

}  // namespace

NB_MODULE(_native, module) {
  module.def("solve", &solve, nb::arg("weights"), nb::arg("bounds"), nb::arg("depths"),
             nb::arg("max_depth"), nb::arg("effort"), nb::arg("threads"),
             nb::arg("progress"));
}
