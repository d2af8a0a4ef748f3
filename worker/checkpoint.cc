// Where training stood goes into the metadata of the safetensors file, each as a text.
#include "worker/checkpoint.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/shared_file.h"
#include "worker/safetensors.h"

namespace regatta {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "regatta checkpoint 1";
constexpr std::string_view kOptimizerPrefix = "optimizer.";

// JSON numbers keep every bit of a finite double; training that diverged is not continued.
std::string to_text(const json& value) { return value.dump(); }

class Metadata {
 public:
  explicit Metadata(const std::map<std::string, std::string>& texts) : texts_(texts) {}

  // The first missing or wrong entry; later reads return nothing of use.
  const std::string& wrong() const { return wrong_; }

  std::int64_t count(const char* key, std::int64_t max = std::numeric_limits<std::int64_t>::max()) {
    const json value = read(key);
    const bool fits =
        value.is_number_unsigned() && value.get<std::uint64_t>() <= static_cast<std::uint64_t>(max);
    return fits ? value.get<std::int64_t>() : refuse(key);
  }

  std::uint64_t bits(const char* key) {
    const json value = read(key);
    return value.is_number_unsigned() ? value.get<std::uint64_t>() : static_cast<std::uint64_t>(refuse(key));
  }

  std::vector<double> numbers(const char* key) { return numbers_in(key, read(key)); }

  std::vector<std::vector<double>> rows(const char* key) {
    const json value = read(key);
    std::vector<std::vector<double>> rows;
    if (!value.is_array()) {
      refuse(key);
      return rows;
    }
    for (const json& row : value) {
      rows.push_back(numbers_in(key, row));
      if (rows.back().size() != rows.front().size()) {
        refuse(key);
      }
    }
    return rows;
  }

 private:
  json read(const char* key) const {
    const auto found = texts_.find(key);
    return found == texts_.end() ? json() : json::parse(found->second, nullptr, /*allow_exceptions=*/false);
  }

  std::vector<double> numbers_in(const char* key, const json& value) {
    std::vector<double> numbers;
    if (!value.is_array()) {
      refuse(key);
      return numbers;
    }
    for (const json& number : value) {
      numbers.push_back(number.is_number() ? number.get<double>() : static_cast<double>(refuse(key)));
    }
    return numbers;
  }

  std::int64_t refuse(const char* key) {
    if (wrong_.empty()) {
      wrong_ = key;
    }
    return 0;
  }

  const std::map<std::string, std::string>& texts_;
  std::string wrong_;
};

Result<Checkpoint> decode_checkpoint(std::string_view bytes) {
  ASSIGN_OR_RETURN(TensorFile file, decode_safetensors(bytes));
  if (const auto format = file.metadata.find("format");
      format == file.metadata.end() || format->second != kFormat || !file.has_checksum) {
    return failure("it is no checkpoint of this version");
  }
  Metadata metadata(file.metadata);
  Checkpoint checkpoint{
      .state = {.tensors = std::move(file.tensors), .steps = metadata.count("optimizer_steps")},
      .trial = static_cast<int>(metadata.count("trial", std::numeric_limits<int>::max())),
      .epoch = metadata.count("epoch"),
      .step = metadata.count("step"),
      .sums = metadata.rows("sums"),
      .seed = metadata.bits("seed"),
      .early_stopping = metadata.numbers("early_stopping")};
  if (!metadata.wrong().empty()) {
    return failure(fmt::format("its metadata has no valid '{}'", metadata.wrong()));
  }
  return checkpoint;
}

}  // namespace

Status save_checkpoint(const std::filesystem::path& path, Checkpoint checkpoint) {
  TensorFile file;
  file.tensors = std::move(checkpoint.state.tensors);
  file.metadata = {{"format", kFormat},
                   {"optimizer_steps", to_text(checkpoint.state.steps)},
                   {"trial", to_text(checkpoint.trial)},
                   {"epoch", to_text(checkpoint.epoch)},
                   {"step", to_text(checkpoint.step)},
                   {"sums", to_text(checkpoint.sums)},
                   {"seed", to_text(checkpoint.seed)},
                   {"early_stopping", to_text(checkpoint.early_stopping)}};
  RETURN_IF_ERROR(make_directories(path.parent_path()));
  return write_file_atomically(path, encode_safetensors(file));
}

Result<Checkpoint> load_checkpoint(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const std::string bytes, read_file_soon(path));  // maybe of a crew on another host
  auto checkpoint = decode_checkpoint(bytes);
  if (!checkpoint.ok()) {
    return failure(
        fmt::format("the checkpoint {} cannot be used: {}", path.string(), checkpoint.error().message));
  }
  return checkpoint;
}

Status export_model(const std::filesystem::path& path, const LaneState& state,
                    const std::map<std::string, std::string>& metadata) {
  TensorFile file;
  file.metadata = metadata;
  for (const NamedTensor& tensor : state.tensors) {
    if (!tensor.name.starts_with(kOptimizerPrefix)) {
      file.tensors.push_back(tensor);
    }
  }
  RETURN_IF_ERROR(make_directories(path.parent_path()));
  return write_file_atomically(path, encode_safetensors(file));
}

}  // namespace regatta
