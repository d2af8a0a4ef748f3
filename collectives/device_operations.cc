// Lateness counts from when an operation was first seen to run: before that it waits for other work in its
// stream, whose length is nobody's fault.
#include "collectives/device_operations.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/seconds.h"

namespace regatta {
namespace {}  // namespace

DeviceOperations::DeviceOperations(const Clock& clock, int rank, int size, const DeviceLimits& limits)
    : clock_(clock), rank_(rank), size_(size), limits_(limits) {}

Result<std::uint64_t> DeviceOperations::begin(std::string_view name, std::size_t bytes) {
  ++last_number_;
  if (broken_) {
    return Error{broken_->kind, fmt::format("rank {} of {}: {} #{} cannot start after an earlier error: {}",
                                            rank_, size_, name, last_number_, broken_->message)};
  }
  pending_.push_back({.name = std::string(name),
                      .number = last_number_,
                      .bytes = bytes,
                      .called = clock_.monotonic(),
                      .begun = {}});
  return last_number_;
}

void DeviceOperations::note(std::uint64_t number, DeviceProgress progress) {
  const auto found = std::ranges::find(pending_, number, &DeviceOperation::number);
  CHECK(found != pending_.end(), "an operation ends once");
  if (progress == DeviceProgress::ended) {
    last_ = std::move(*found);
    pending_.erase(found);
  } else if (progress == DeviceProgress::begun && !found->begun) {
    found->begun = clock_.monotonic();
  }
}

std::optional<Error> DeviceOperations::judge(std::string_view trouble) {
  if (!broken_ && trouble.empty()) {
    judge_lateness();
  } else if (!broken_ && !pending_.empty()) {
    break_with(Error::Kind::failure, pending_.front(), fmt::format("failed: {}", trouble));
  } else if (!broken_) {
    const char* when = last_.number == 0 ? "failed" : "had ended, and then the communicator failed";
    break_with(Error::Kind::failure, last_, fmt::format("{}: {}", when, trouble));
  }
  return broken_ && !std::exchange(has_told_, true) ? broken_ : std::nullopt;
}

void DeviceOperations::judge_lateness() {
  const Microseconds now = clock_.monotonic();
  for (const DeviceOperation& operation : pending_) {
    if (operation.begun && now - *operation.begun >= limits_.operation) {
      break_with(
          Error::Kind::timeout, operation,
          fmt::format(
              "did not end within {} s on the device: another rank has died, is stuck, or did not call "
              "it",
              in_seconds(limits_.operation)));
      return;
    }
    if (!operation.begun && now - operation.called >= limits_.queue) {
      break_with(Error::Kind::timeout, operation,
                 fmt::format("did not begin within {} s: the device is stuck in the work before it",
                             in_seconds(limits_.queue)));
      return;
    }
  }
}

Error DeviceOperations::fail(std::string_view name, std::size_t bytes, std::string_view why) {
  if (broken_) {
    return *broken_;
  }
  const DeviceOperation operation{
      .name = std::string(name), .number = last_number_, .bytes = bytes, .called = {}, .begun = {}};
  return break_with(Error::Kind::failure, operation, fmt::format("failed: {}", why));
}

Status DeviceOperations::status() const { return broken_ ? Status(*broken_) : Status(); }

const Error& DeviceOperations::break_with(Error::Kind kind, const DeviceOperation& operation,
                                          const std::string& why) {
  broken_ =
      Error{kind, operation.number == 0
                      ? fmt::format("rank {} of {}: the start of the communicator {}", rank_, size_, why)
                      : fmt::format("rank {} of {}: {} #{} of {} bytes {}", rank_, size_, operation.name,
                                    operation.number, operation.bytes, why)};
  return *broken_;
}

}  // namespace regatta
