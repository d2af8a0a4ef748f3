// A small JSON file, written as a whole.
#include "cli/stop_request.h"

#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/shared_file.h"

namespace regatta {
namespace {

constexpr Microseconds kLookInterval = std::chrono::seconds(1);

std::filesystem::path request_path(const std::filesystem::path& study) { return study / "stop.json"; }

}  // namespace

Status write_stop_request(const std::filesystem::path& study, const StopRequest& request) {
  const nlohmann::ordered_json json{
      {"coordinator", request.coordinator}, {"at_once", request.at_once}, {"by", request.by}};
  return write_file_atomically(request_path(study), json.dump(2) + "\n");
}

std::optional<StopRequest> read_stop_request(const std::filesystem::path& study) {
  forget_names_in(study);
  const auto text = read_file(request_path(study));
  if (!text.ok()) {
    return std::nullopt;
  }
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  try {
    return StopRequest{
        .coordinator = json.at("coordinator"), .at_once = json.at("at_once"), .by = json.at("by")};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

StopRequests::StopRequests(std::filesystem::path study, std::string coordinator)
    : study_(std::move(study)), coordinator_(std::move(coordinator)) {}

StopRequests::~StopRequests() {
  const auto last = newest_ ? read_stop_request(study_) : std::nullopt;
  if (last && last->coordinator == coordinator_) {
    std::error_code ignored;
    std::filesystem::remove(request_path(study_), ignored);
  }
}

const std::optional<StopRequest>& StopRequests::look(Microseconds now) {
  if (looked_ && now - *looked_ < kLookInterval) {
    return newest_;
  }
  looked_ = now;
  auto request = read_stop_request(study_);
  if (request && request->coordinator == coordinator_) {
    newest_ = std::move(request);
  }
  return newest_;
}

}  // namespace regatta
