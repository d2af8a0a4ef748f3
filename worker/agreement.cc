// One small collective when all is well; more only when there is something to tell.
#include "worker/agreement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

namespace regatta {
namespace {

constexpr std::size_t kMessageBytes = 1024;                      // longer sentences are cut
constexpr std::uint64_t kMaxTextBytes = std::uint64_t{1} << 26;  // only a bug sends more

}  // namespace

Result<std::optional<std::string>> first_failure(Communicator& communicator, const Status& mine) {
  std::array<double, 1> failures{mine.ok() ? 0.0 : 1.0};
  RETURN_IF_ERROR(communicator.allreduce(failures, {.timeout = kFileLimit}));
  if (failures[0] == 0) {
    return std::optional<std::string>();
  }
  std::string message = mine.ok() ? "" : mine.error().message;
  message.resize(kMessageBytes, '\0');
  std::string messages(kMessageBytes * static_cast<std::size_t>(communicator.size()), '\0');
  RETURN_IF_ERROR(
      communicator.allgather(std::as_bytes(std::span(message)), std::as_writable_bytes(std::span(messages))));
  for (int rank = 0; rank < communicator.size(); ++rank) {
    std::string text = messages.substr(static_cast<std::size_t>(rank) * kMessageBytes, kMessageBytes);
    text.resize(std::min(text.find('\0'), text.size()));
    if (!text.empty()) {
      return std::optional(communicator.size() == 1 ? text : fmt::format("rank {}: {}", rank, text));
    }
  }
  return std::optional<std::string>("a rank failed without saying why");
}

Result<std::string> broadcast_text(Communicator& communicator, const std::string& text,
                                   const CollectiveOptions& options) {
  std::array<std::uint64_t, 1> length{text.size()};
  RETURN_IF_ERROR(communicator.broadcast(std::as_writable_bytes(std::span(length)), 0, options));
  CHECK(length[0] <= kMaxTextBytes);
  std::string shared = communicator.rank() == 0 ? text : std::string();
  shared.resize(length[0]);
  if (length[0] > 0) {
    RETURN_IF_ERROR(communicator.broadcast(std::as_writable_bytes(std::span(shared)), 0));
  }
  return shared;
}

}  // namespace regatta
