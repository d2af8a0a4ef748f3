// search-benchmark tables: normalised regret of multi-fidelity searches on tables of learning curves.
#pragma once

#include <string>
#include <thread>
#include <vector>

#include "benchmarks/search/table_run.h"

namespace regatta {

struct TablesCommand {
  TableOptions run;
  std::string folder;               // of the tables, *.csv
  std::vector<std::string> tables;  // only these; empty: all
  int seeds = 20;
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
};

// Prints, of each table and after a total cost of 1, 2, 5, 10, 20 and 50 R, the median over seeds of
// (incumbent - best of the table) / (median final value - best), and the mean over the large tables (of more
// than 500 rows) beside the peers'.
Status print_tables(const TablesCommand& command);

}  // namespace regatta
