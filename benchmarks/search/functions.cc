// Formulas: Surjanovic and Bingham, "Virtual library of simulation experiments"; mixed4 is shaped like a
// training run, with an optimum learning rate that depends on the optimizer and the depth.
#include "benchmarks/search/functions.h"

#include <array>
#include <cmath>
#include <numbers>

namespace regatta {
namespace {

constexpr double kPi = std::numbers::pi;

double square(double x) { return x * x; }

double branin(std::span<const double> x) {
  const double valley = x[1] - 5.1 / (4 * kPi * kPi) * x[0] * x[0] + 5 / kPi * x[0] - 6;
  return square(valley) + 10 * (1 - 1 / (8 * kPi)) * std::cos(x[0]) + 10;
}

double hartmann6(std::span<const double> x) {
  constexpr std::array kHeight = {1.0, 1.2, 3.0, 3.2};
  constexpr double kWidth[4][6] = {{10, 3, 17, 3.5, 1.7, 8},
                                   {0.05, 10, 17, 0.1, 8, 14},
                                   {3, 3.5, 1.7, 10, 17, 8},
                                   {17, 8, 0.05, 10, 0.1, 14}};
  constexpr double kCentre[4][6] = {{1312, 1696, 5569, 124, 8283, 5886},
                                    {2329, 4135, 8307, 3736, 1004, 9991},
                                    {2348, 1451, 3522, 2883, 3047, 6650},
                                    {4047, 8828, 8732, 5743, 1091, 381}};
  double sum = 0;
  for (std::size_t i = 0; i < kHeight.size(); ++i) {
    double distance = 0;
    for (std::size_t j = 0; j < x.size(); ++j) {
      distance += kWidth[i][j] * square(x[j] - 1e-4 * kCentre[i][j]);
    }
    sum -= kHeight[i] * std::exp(-distance);
  }
  return sum;
}

double ackley(std::span<const double> x) {
  double squares = 0;
  double waves = 0;
  for (const double v : x) {
    squares += v * v;
    waves += std::cos(2 * kPi * v);
  }
  const auto n = static_cast<double>(x.size());
  return -20 * std::exp(-0.2 * std::sqrt(squares / n)) - std::exp(waves / n) + 20 + std::numbers::e;
}

double rosenbrock(std::span<const double> x) {
  double sum = 0;
  for (std::size_t i = 0; i + 1 < x.size(); ++i) {
    sum += 100 * square(x[i + 1] - x[i] * x[i]) + square(1 - x[i]);
  }
  return sum;
}

double levy(std::span<const double> x) {
  const auto w = [&](std::size_t i) { return 1 + (x[i] - 1) / 4; };
  double sum = square(std::sin(kPi * w(0)));
  for (std::size_t i = 0; i + 1 < x.size(); ++i) {
    sum += square(w(i) - 1) * (1 + 10 * square(std::sin(kPi * w(i) + 1)));
  }
  const double last = w(x.size() - 1);
  return sum + square(last - 1) * (1 + square(std::sin(2 * kPi * last)));
}

double styblinski(std::span<const double> x) {
  double sum = 0;
  for (const double v : x) {
    sum += v * v * v * v - 16 * v * v + 5 * v;
  }
  return sum / 2;
}

// lr, wd, layers, opt. Smallest at opt = adam, layers = 5, lr = 10^-3.15, wd = 1e-4.
double mixed(std::span<const double> x) {
  constexpr std::array kRate = {-1.0, -2.0, -3.0, -3.5};
  constexpr std::array kLoss = {0.30, 0.10, 0.0, 0.05};
  const auto optimizer = static_cast<std::size_t>(x[3]);
  const double off = std::log10(x[0]) - (kRate[optimizer] - 0.15 * (x[2] - 4));
  return off * off + 0.2 * square(std::log10(x[1]) + 4 + 0.5 * off) + 0.05 * square(x[2] - 5) +
         kLoss[optimizer] + 0.05 * (1 - std::cos(4 * kPi * off));
}

constexpr std::array kFunctions = {
    TestFunction{"branin2", "{x0: {float: [-5, 10]}, x1: {float: [0, 15]}}", 5 / (4 * kPi), branin},
    TestFunction{"hartmann6",
                 "{x0: {float: [0, 1]}, x1: {float: [0, 1]}, x2: {float: [0, 1]}, x3: {float: [0, 1]},"
                 " x4: {float: [0, 1]}, x5: {float: [0, 1]}}",
                 -3.3223680114155147, hartmann6},
    TestFunction{"ackley5",
                 "{x0: {float: [-32.768, 32.768]}, x1: {float: [-32.768, 32.768]},"
                 " x2: {float: [-32.768, 32.768]}, x3: {float: [-32.768, 32.768]},"
                 " x4: {float: [-32.768, 32.768]}}",
                 0, ackley},
    TestFunction{"ackley5off",
                 "{x0: {float: [-16.384, 32.768]}, x1: {float: [-16.384, 32.768]},"
                 " x2: {float: [-16.384, 32.768]}, x3: {float: [-16.384, 32.768]},"
                 " x4: {float: [-16.384, 32.768]}}",
                 0, ackley},
    TestFunction{
        "rosenbrock4",
        "{x0: {float: [-5, 10]}, x1: {float: [-5, 10]}, x2: {float: [-5, 10]}, x3: {float: [-5, 10]}}", 0,
        rosenbrock},
    TestFunction{"levy6",
                 "{x0: {float: [-10, 10]}, x1: {float: [-10, 10]}, x2: {float: [-10, 10]},"
                 " x3: {float: [-10, 10]}, x4: {float: [-10, 10]}, x5: {float: [-10, 10]}}",
                 0, levy},
    TestFunction{"styblinski5",
                 "{x0: {float: [-5, 5]}, x1: {float: [-5, 5]}, x2: {float: [-5, 5]}, x3: {float: [-5, 5]},"
                 " x4: {float: [-5, 5]}}",
                 -39.16616570377142 * 5, styblinski},
    TestFunction{"mixed4",
                 "{lr: {float: [1e-5, 1], log: true}, wd: {float: [1e-6, 0.1], log: true},"
                 " layers: {int: [1, 8]}, opt: {choice: [sgd, momentum, adam, rmsprop]}}",
                 0, mixed},
};

}  // namespace

std::span<const TestFunction> test_functions() { return kFunctions; }

}  // namespace regatta
