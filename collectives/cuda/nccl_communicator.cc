// NCCL in its non-blocking mode: every call returns at once, and is asked about until it has been carried
// out. One lock stands before all of them, for NCCL wants one thread at a time. A thread that hangs in a call
// keeps it; then the watchdog cannot give up, and ends the process.
#include "collectives/cuda/nccl_communicator.h"

#include <fmt/format.h>
#include <nccl.h>

#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/seconds.h"
#include "collectives/backoff.h"
#include "collectives/cuda/nccl_calls.h"
#include "collectives/cuda/stream_events.h"

namespace regatta {
namespace {

constexpr BackoffOptions kPatience{.looks = 100, .yields = 100, .sleep = std::chrono::microseconds(100)};
constexpr const char* kAllreduce = "allreduce";

ncclDataType_t type_of(const float*) { return ncclFloat32; }
ncclDataType_t type_of(const double*) { return ncclFloat64; }
ncclDataType_t type_of(const __nv_bfloat16*) { return ncclBfloat16; }

struct Capture {
  bool is_on = false;
  unsigned long long id = 0;
};

Result<Capture> capture_of(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  Capture capture;
  RETURN_IF_ERROR(
      check_cuda(cudaStreamGetCaptureInfo(stream, &status, &capture.id), "cudaStreamGetCaptureInfo"));
  capture.is_on = status == cudaStreamCaptureStatusActive;
  return capture;
}

}  // namespace

class NcclCommunicator::Implementation final : public Watched {
 public:
  Implementation(int rank, int size, const Clock& clock, NcclOptions options)
      : rank_(rank),
        size_(size),
        clock_(clock),
        options_(std::move(options)),
        operations_(clock, rank, size, options_.limits) {}
  Implementation(const Implementation&) = delete;
  Implementation& operator=(const Implementation&) = delete;

  ~Implementation() override {
    watchdog_.reset();
    if (communicator_ != nullptr) {
      close();
    }
  }

  Status open(const ncclUniqueId& id) {
    ASSIGN_OR_RETURN(events_, StreamEvents::make());
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    const ncclResult_t code = ncclCommInitRankConfig(&communicator_, size_, id, rank_, &config);
    const Status joined = finish_call(code, "start of the communicator", 0);
    if (!joined.ok()) {
      return joined;  // the destructor gives up what has begun
    }
    watchdog_ = std::make_unique<Watchdog>(*this, WatchdogOptions{.give_up_limit = options_.limits.give_up,
                                                                  .end_process = options_.end_process});
    return {};
  }

  template <class Number>
  Status allreduce(Number* data, std::size_t count, cudaStream_t stream) {
    const std::size_t bytes = count * sizeof(Number);
    const auto call = [=, this] {
      return ncclAllReduce(data, data, count, type_of(data), ncclSum, communicator_, stream);
    };
    ASSIGN_OR_RETURN(const Capture capture, capture_of(stream));
    if (capture.is_on) {
      tally(capture.id, bytes);
      return enqueue(call, bytes);
    }
    if (step_) {
      return enqueue(call, bytes);  // watched with the step
    }
    ASSIGN_OR_RETURN(const std::uint64_t number, begin(kAllreduce, bytes, stream));
    RETURN_IF_ERROR(enqueue(call, bytes));
    return end(number, stream);
  }

  Captured captured() const { return captured_; }

  Status begin_step(cudaStream_t stream, const Captured& graph) {
    CHECK(!step_, "a step begins when the last one has ended");
    ASSIGN_OR_RETURN(step_, begin(fmt::format("step of {} sums", graph.operations), graph.bytes, stream));
    return {};
  }

  Status end_step(cudaStream_t stream) {
    CHECK(step_.has_value(), "a step ends once it has begun");
    return end(*std::exchange(step_, std::nullopt), stream);
  }

  Status status() const {
    const std::lock_guard lock(mutex_);
    return operations_.status();
  }

  std::optional<Error> look() override {
    prepare_thread();
    const std::lock_guard lock(mutex_);
    if (communicator_ == nullptr || operations_.is_broken()) {
      return operations_.judge();
    }
    const ncclResult_t state = nccl_state(communicator_);
    if (state != ncclSuccess && state != ncclInProgress) {
      return operations_.judge(nccl_text(state, communicator_));
    }
    const Status seen = events_->look(operations_);
    return operations_.judge(seen.ok() ? "" : seen.error().message);
  }

  void give_up() override {
    prepare_thread();
    ncclComm_t given_up = nullptr;
    {
      const std::lock_guard lock(mutex_);
      given_up = std::exchange(communicator_, nullptr);
    }
    // It frees the streams at once, but returns only when no graph holds its sums: who waits for a stream
    // must be able to ask for the status meanwhile, and to destroy its graphs.
    (void)ncclCommAbort(given_up);
  }

  const int rank_;
  const int size_;

 private:
  // Looking at events must not disturb a capture on another thread.
  void prepare_thread() const {
    (void)cudaSetDevice(options_.card);
    cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    (void)cudaThreadExchangeStreamCaptureMode(&mode);
  }

  void tally(unsigned long long capture, std::size_t bytes) {
    if (capture != capture_) {
      capture_ = capture;
      captured_ = {};
    }
    ++captured_.operations;
    captured_.bytes += bytes;
  }

  Result<std::uint64_t> begin(const std::string& name, std::size_t bytes, cudaStream_t stream) {
    Backoff backoff(kPatience);
    while (true) {
      {
        const std::lock_guard lock(mutex_);
        if (events_->is_full() && !operations_.is_broken()) {
          (void)events_->look(operations_);  // a failure is for the watchdog to see again and judge
        }
        if (!events_->is_full() || operations_.is_broken()) {
          ASSIGN_OR_RETURN(const std::uint64_t number, operations_.begin(name, bytes));
          if (const Status begun = events_->begin(number, stream); !begun.ok()) {
            return operations_.fail(name, bytes, begun.error().message);
          }
          return number;
        }
      }
      backoff.pause();  // the watchdog breaks what does not move
    }
  }

  Status end(std::uint64_t number, cudaStream_t stream) {
    const std::lock_guard lock(mutex_);
    RETURN_IF_ERROR(operations_.status());
    const Status ended = events_->end(number, stream);
    return ended.ok() ? ended : Status(operations_.fail("end of operation", 0, ended.error().message));
  }

  template <class Call>
  Status enqueue(const Call& call, std::size_t bytes) {
    ncclResult_t code = ncclSuccess;
    {
      const std::lock_guard lock(mutex_);
      RETURN_IF_ERROR(operations_.status());
      code = call();
    }
    return finish_call(code, kAllreduce, bytes);
  }

  // Until NCCL has carried out what was asked, which is not yet to have run on the device.
  Status finish_call(ncclResult_t code, const char* what, std::size_t bytes) {
    const Deadline deadline(clock_, options_.limits.join);
    Backoff backoff(kPatience);
    while (true) {
      {
        const std::lock_guard lock(mutex_);
        RETURN_IF_ERROR(operations_.status());
        if (code == ncclInProgress) {
          code = nccl_state(communicator_);
        }
        if (code == ncclSuccess) {
          return {};
        }
        if (code != ncclInProgress) {
          return operations_.fail(what, bytes, nccl_text(code, communicator_));
        }
        if (deadline.passed()) {
          Error late = operations_.fail(
              what, bytes,
              fmt::format("not carried out within {} s: another rank has died, is stuck, or did not call it",
                          in_seconds(options_.limits.join)));
          late.kind = Error::Kind::timeout;
          return late;
        }
      }
      backoff.pause();
    }
  }

  // A healthy communicator is finished first, which waits for what runs; a broken one is given up.
  void close() {
    const Microseconds limit = options_.limits.join + options_.limits.give_up;
    run_or_end(
        limit,
        [this] {
          prepare_thread();
          finish_or_abort();
        },
        fmt::format(
            "rank {} of {}: NCCL does not end its communicator within {} s; do graphs that hold its sums "
            "still exist?",
            rank_, size_, in_seconds(limit)),
        options_.end_process);
  }

  void finish_or_abort() {
    bool is_finished = false;
    if (!operations_.is_broken()) {
      const Status finished = finish_call(ncclCommFinalize(communicator_), "end of the communicator", 0);
      is_finished = finished.ok();
      if (!is_finished) {
        spdlog::warn("{}", finished.error().message);
      }
    }
    (void)(is_finished ? ncclCommDestroy(communicator_) : ncclCommAbort(communicator_));
    communicator_ = nullptr;
  }

  const Clock& clock_;
  const NcclOptions options_;
  mutable std::mutex mutex_;  // before all calls of NCCL, and what they and the watchdog know
  DeviceOperations operations_;
  std::unique_ptr<StreamEvents> events_;
  ncclComm_t communicator_ = nullptr;  // none: it was given up
  unsigned long long capture_ = 0;
  Captured captured_;
  std::optional<std::uint64_t> step_;
  std::unique_ptr<Watchdog> watchdog_;
};

NcclCommunicator::NcclCommunicator(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}

NcclCommunicator::~NcclCommunicator() = default;

Result<std::unique_ptr<NcclCommunicator>> NcclCommunicator::create(Communicator& crew, const Clock& clock,
                                                                   const NcclOptions& options) {
  ASSIGN_OR_RETURN(const Seating seating, seat_ranks(crew, options.card));
  if (seating.shared && !options.shares_cards) {
    return user_mistake(
        *seating.shared +
        ": give each rank its own (fewer resources.ranks, more cards), or let ranks share cards with "
        "resources.ranks_per_gpu");
  }
  if (seating.shared) {
    spdlog::warn("{}: sums over them are slow", *seating.shared);
    look_like_another_host(crew.rank(), seating.one_host);
  }
  ASSIGN_OR_RETURN(const ncclUniqueId id, share_unique_id(crew));
  auto implementation = std::make_unique<Implementation>(crew.rank(), crew.size(), clock, options);
  RETURN_IF_ERROR(implementation->open(id));
  return std::unique_ptr<NcclCommunicator>(new NcclCommunicator(std::move(implementation)));
}

int NcclCommunicator::rank() const { return implementation_->rank_; }
int NcclCommunicator::size() const { return implementation_->size_; }

Status NcclCommunicator::allreduce(float* data, std::size_t count, cudaStream_t stream) {
  return implementation_->allreduce(data, count, stream);
}

Status NcclCommunicator::allreduce(double* data, std::size_t count, cudaStream_t stream) {
  return implementation_->allreduce(data, count, stream);
}

Status NcclCommunicator::allreduce(__nv_bfloat16* data, std::size_t count, cudaStream_t stream) {
  return implementation_->allreduce(data, count, stream);
}

NcclCommunicator::Captured NcclCommunicator::captured() const { return implementation_->captured(); }

Status NcclCommunicator::begin_step(cudaStream_t stream, const Captured& graph) {
  return implementation_->begin_step(stream, graph);
}

Status NcclCommunicator::end_step(cudaStream_t stream) { return implementation_->end_step(stream); }

Status NcclCommunicator::status() const { return implementation_->status(); }

}  // namespace regatta
