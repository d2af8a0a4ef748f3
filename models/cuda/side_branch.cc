// Fork and join by events, which a capture turns into edges of the graph.
#include "models/cuda/side_branch.h"

namespace regatta::cuda {

Result<SideBranch> SideBranch::create() {
  SideBranch branch;
  ASSIGN_OR_RETURN(branch.stream_, Stream::create(StreamPriority::lowest));
  ASSIGN_OR_RETURN(branch.forked_, Event::create());
  ASSIGN_OR_RETURN(branch.joined_, Event::create());
  return branch;
}

Status SideBranch::fork(cudaStream_t main) {
  RETURN_IF_ERROR(check(cudaEventRecord(forked_.get(), main), "putting work beside a step's"));
  has_work_ = true;
  return check(cudaStreamWaitEvent(stream_.get(), forked_.get()), "putting work beside a step's");
}

Status SideBranch::join(cudaStream_t main) {
  if (!has_work_) {
    return {};
  }
  has_work_ = false;
  RETURN_IF_ERROR(check(cudaEventRecord(joined_.get(), stream_.get()), "waiting for work beside a step's"));
  return check(cudaStreamWaitEvent(main, joined_.get()), "waiting for work beside a step's");
}

}  // namespace regatta::cuda
