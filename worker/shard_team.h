// The shards of one rank: threads that do the same work on their own parts, and sums over all shards of all
// ranks along one fixed tree.
#pragma once

#include <atomic>
#include <barrier>
#include <cstddef>
#include <functional>
#include <span>
#include <thread>
#include <vector>

#include "base/result.h"
#include "collectives/communicator.h"

namespace regatta {

// The thread that makes a team is its member 0 and the only one that talks to other ranks.
class ShardTeam {
 public:
  // As many members on every rank, powers of two both. The communicator must outlive the team.
  ShardTeam(Communicator& communicator, int members);
  ~ShardTeam();
  ShardTeam(const ShardTeam&) = delete;
  ShardTeam& operator=(const ShardTeam&) = delete;

  int size() const { return static_cast<int>(offered_.size()); }
  // All members run `work(member)`; the first failure, if any. Called by member 0, on all ranks.
  Status run(const std::function<Status(int)>& work);

  // Called by every member from within its work: `values`, of the same size everywhere, become the sum over
  // all shards, with the same bits on every one.
  Status sum(int member, std::span<float> values);
  // The same between runs, by member 0 alone: the sum of these parts, one a member, stands in the first.
  Status sum(std::span<const std::span<double>> parts);

 private:
  void serve(int member);
  Status meet();
  Status do_work(int member);

  Communicator& communicator_;
  std::vector<std::span<float>> offered_;  // one a member
  std::vector<Status> results_;            // one a member
  std::vector<float> gathered_;            // from all ranks
  std::vector<double> gathered_sums_;
  Status exchanged_;
  const std::function<Status(int)>* work_ = nullptr;  // none: the team ends
  std::atomic<bool> broken_ = false;                  // a member has left its work early
  std::barrier<> start_;
  std::barrier<> meeting_;
  std::barrier<> end_;
  std::vector<std::jthread> threads_;  // of members 1, 2, …; last: they end before what they use
};

}  // namespace regatta
