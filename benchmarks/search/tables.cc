// Seeds run in threads; what is printed does not depend on how many there are.
#include "benchmarks/search/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

namespace regatta {
namespace {

constexpr std::array kBudgets = {1, 2, 5, 10, 20, 50};  // in R
constexpr std::size_t kLargeTable = 500;                // rows

using Regrets = std::array<double, kBudgets.size()>;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

struct Peer {
  std::string workers;
  std::map<std::string, Regrets> tables;
};

// peers/multifidelity.csv: table,method,workers,seeds,budget_R,best_median,normalised_regret_median.
std::map<std::string, Peer> read_peers() {
  std::ifstream file(REGATTA_BENCHMARK_FOLDER "/peers/multifidelity.csv");
  std::map<std::string, Peer> peers;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::array<std::string, 7> cells;
    for (std::string& cell : cells) {
      std::getline(fields, cell, ',');
    }
    const auto budget = std::find(kBudgets.begin(), kBudgets.end(), std::stoi(cells[4])) - kBudgets.begin();
    Peer& peer = peers[cells[1] + " × " + cells[2]];
    peer.workers = cells[2];
    peer.tables[cells[0]].at(static_cast<std::size_t>(budget)) = std::stod(cells[6]);
  }
  return peers;
}

void print_row(const std::string& name, const Regrets& regrets, int budget) {
  fmt::print("{:<28}", name);
  for (std::size_t i = 0; i < kBudgets.size(); ++i) {
    if (kBudgets[i] <= budget) {
      fmt::print(" {:>8.4f}", regrets[i]);
    }
  }
  fmt::print("\n");
  std::fflush(stdout);
}

Result<Regrets> median_regrets(const CurveTable& table, const TablesCommand& command) {
  std::vector<std::vector<double>> curves(static_cast<std::size_t>(command.seeds));
  std::vector<std::optional<Error>> errors(curves.size());
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> threads;
  for (unsigned job = 0; job < command.jobs; ++job) {
    threads.emplace_back([&] {
      for (std::size_t seed = next++; seed < curves.size(); seed = next++) {
        auto curve = incumbents(table, command.run, seed);
        if (curve.ok()) {
          curves[seed] = std::move(curve).value();
        } else {
          errors[seed] = curve.error();
        }
      }
    });
  }
  threads.clear();
  for (const auto& error : errors) {
    if (error) {
      return *error;
    }
  }
  Regrets regrets{};
  for (std::size_t i = 0; i < kBudgets.size() && kBudgets[i] <= command.run.budget; ++i) {
    std::vector<double> values;
    for (const auto& curve : curves) {
      const double best = curve[static_cast<std::size_t>(kBudgets[i] * table.max_epochs) - 1];
      values.push_back((best - table.best) / (table.median_final - table.best));
    }
    regrets[i] = median(values);
  }
  return regrets;
}

// Of the tables that were run; nothing where the peer has not run all of them.
std::optional<Regrets> mean_of(const std::map<std::string, Regrets>& rows,
                               const std::vector<std::string>& tables) {
  Regrets mean{};
  for (const std::string& table : tables) {
    const auto row = rows.find(table);
    if (row == rows.end()) {
      return std::nullopt;
    }
    for (std::size_t i = 0; i < mean.size(); ++i) {
      mean[i] += row->second[i] / static_cast<double>(tables.size());
    }
  }
  return mean;
}

std::vector<std::filesystem::path> files_of(const TablesCommand& command) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(command.folder)) {
    const auto& wanted = command.tables;
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() == ".csv" &&
        (wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end())) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

Status print_tables(const TablesCommand& command) {
  if (!std::filesystem::is_directory(command.folder)) {
    return user_mistake(fmt::format("{} is no folder", command.folder));
  }
  fmt::print("median normalised regret of sampler {} and scheduler {}, {} seeds, {} worker(s)\n",
             command.run.sampler, command.run.scheduler, command.seeds, command.run.workers);
  fmt::print("{:<28}", "total cost in R");
  for (const int budget : kBudgets) {
    if (budget <= command.run.budget) {
      fmt::print(" {:>8}", budget);
    }
  }
  fmt::print("\n");
  std::map<std::string, Regrets> rows;
  std::vector<std::string> large;
  for (const auto& file : files_of(command)) {
    ASSIGN_OR_RETURN(const CurveTable table, read_curve_table(file.string()));
    ASSIGN_OR_RETURN(rows[table.name], median_regrets(table, command));
    if (table.points.size() > kLargeTable) {
      large.push_back(table.name);
    }
    print_row(table.name, rows[table.name], command.run.budget);
  }
  if (!large.empty()) {
    print_row("mean of the large tables", *mean_of(rows, large), command.run.budget);
    for (const auto& [name, peer] : read_peers()) {
      if (const auto mean = mean_of(peer.tables, large)) {
        print_row("  " + name + (peer.workers == "1" ? " worker" : " workers"), *mean, command.run.budget);
      }
    }
  }
  fmt::print("CPU seconds: {:.0f}\n", static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
  return {};
}

}  // namespace regatta
