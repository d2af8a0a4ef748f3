// What each part of the coordinator takes, measured by calling it.
#pragma once

#include <filesystem>
#include <vector>

#include "coordinator/coordinator_costs.h"
#include "experiment/experiment.h"

namespace regatta {

struct SocketCosts {  // microseconds a message
  double receive = 0;
  double send = 0;
  double relay = 0;  // of ZeroMQ's own thread, in or out
};
struct TransactionCosts {
  struct Size {
    int events = 0;
    double milliseconds = 0;  // the median
  };
  std::vector<Size> sizes;
  double commit_us = 0;  // the line through them
  double event_us = 0;
};
struct WholeCosts {
  int crews = 0;
  int trials = 0;
  double trials_per_second = 0;  // once all crews have joined
  double thread_us = 0;          // of the coordinator's thread, a trial
  double other_us = 0;           // of the process's other threads, a trial
};

Experiment experiment_of(int trials, int epochs = 1);

// `folder`: where studies are made, so that its file system is what is measured.
SocketCosts measure_sockets(const std::filesystem::path& folder, int crews, int messages);
TransactionCosts measure_transactions(const std::filesystem::path& folder, int repeats);
double measure_decision_us(int crews, int trials);  // a report of a trial of one epoch, its successor and all
double measure_deletion_us(const std::filesystem::path& folder, int files);
WholeCosts measure_whole(const std::filesystem::path& folder, int crews, int trials);

}  // namespace regatta
