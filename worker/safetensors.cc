// Encoding is a few lines; decoding distrusts every number, since a file may be damaged anywhere.
#include "worker/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"

namespace regatta {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "the format is little endian");

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kAlignment = 8;                 // of the data section
constexpr std::size_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr int kMaxDepth = 4;  // of the header: walking a deeper one could exhaust the stack
constexpr const char* kMetadata = "__metadata__";
constexpr const char* kChecksum = "regatta_checksum";

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

// Of the header without the checksum itself, and of the data. Objects are dumped with their keys sorted, so
// the text is the same when the header has been read back.
std::string checksum_of(const json& header, std::string_view data) {
  return fmt::format("{:08x}{:08x}", crc32_of(dump(header)), crc32_of(data));
}

std::string pack_data(const std::vector<NamedTensor>& tensors) {
  std::string data;
  for (const NamedTensor& tensor : tensors) {
    data.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
  }
  return data;
}

// A parser that keeps the last of two equal keys would let a file mean different things to different readers.
Result<json> parse_header(std::string_view text) {
  std::vector<std::set<std::string>> keys;
  std::string twice;
  bool too_deep = false;
  const auto watch = [&](int depth, json::parse_event_t event, const json& parsed) {
    if (depth > kMaxDepth) {
      too_deep = true;
      return false;
    }
    if (event == json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == json::parse_event_t::object_end && !keys.empty()) {
      keys.pop_back();
    } else if (event == json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      twice = parsed.get<std::string>();
    }
    return true;
  };
  json header = json::parse(text, watch, /*allow_exceptions=*/false);
  if (too_deep) {
    return failure("its header is nested too deeply");
  }
  if (header.is_discarded() || !header.is_object()) {
    return failure("its header is no JSON object");
  }
  if (!twice.empty()) {
    return failure(fmt::format("its header names '{}' twice", twice));
  }
  return header;
}

struct TensorEntry {
  std::string name;
  Shape shape;
  std::size_t begin = 0;  // in bytes of the data section
  std::size_t end = 0;
};

// The bytes of an F32 tensor; nullopt when the shape is no shape or the product overflows.
std::optional<std::size_t> byte_count(const json& shape) {
  if (!shape.is_array()) {
    return std::nullopt;
  }
  std::uint64_t bytes = sizeof(float);
  for (const json& size : shape) {
    if (!size.is_number_unsigned()) {
      return std::nullopt;
    }
    const auto factor = size.get<std::uint64_t>();
    if (factor > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) ||
        __builtin_mul_overflow(bytes, factor, &bytes)) {
      return std::nullopt;
    }
  }
  return bytes;
}

Result<TensorEntry> read_entry(const std::string& name, const json& value, std::size_t data_bytes) {
  const auto bad = [&](std::string_view what) {
    return failure(fmt::format("its tensor '{}' {}", name, what));
  };
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") || !value.contains("shape") ||
      !value.contains("data_offsets")) {
    return bad("is not described by dtype, shape and data_offsets");
  }
  if (value["dtype"] != "F32") {
    return bad("does not hold 32-bit floats (F32)");
  }
  const auto bytes = byte_count(value["shape"]);
  if (!bytes) {
    return bad("has no valid shape");
  }
  const json& offsets = value["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned()) {
    return bad("has no valid data_offsets");
  }
  TensorEntry entry{name, value["shape"].get<Shape>(), offsets[0].get<std::size_t>(),
                    offsets[1].get<std::size_t>()};
  if (entry.begin > entry.end || entry.end > data_bytes) {
    return bad(fmt::format("lies outside of the data ({} bytes): the file may be cut off", data_bytes));
  }
  if (entry.end - entry.begin != *bytes) {
    return bad("does not have the size of its shape");
  }
  return entry;
}

Result<std::vector<TensorEntry>> read_entries(const json& header, std::size_t data_bytes) {
  std::vector<TensorEntry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != kMetadata) {
      ASSIGN_OR_RETURN(TensorEntry entry, read_entry(name, value, data_bytes));
      entries.push_back(std::move(entry));
    }
  }
  std::ranges::stable_sort(entries, {}, [](const TensorEntry& entry) {
    return std::pair(entry.begin, entry.end);  // an empty tensor stands before the one that begins with it
  });
  std::size_t covered = 0;
  for (const TensorEntry& entry : entries) {
    if (entry.begin != covered) {
      return failure(fmt::format("its tensor '{}' does not follow the one before it", entry.name));
    }
    covered = entry.end;
  }
  if (covered != data_bytes) {
    return failure(fmt::format("its data has {} bytes and its tensors {}", data_bytes, covered));
  }
  return entries;
}

// Takes the checksum out of the header, so that it does not count itself. False: there is none.
Result<bool> take_checksum(json& header, std::string_view data) {
  const auto metadata = header.find(kMetadata);
  if (metadata == header.end()) {
    return false;
  }
  const auto is_text = [](const json& value) { return value.is_string(); };
  if (!metadata->is_object() || !std::ranges::all_of(*metadata, is_text)) {
    return failure("its metadata is no map of texts");
  }
  const auto checksum = metadata->find(kChecksum);
  if (checksum == metadata->end()) {
    return false;
  }
  const auto expected = checksum->get<std::string>();
  metadata->erase(checksum);
  if (checksum_of(header, data) != expected) {
    return failure("its checksum does not fit its content");
  }
  return true;
}

}  // namespace

std::string encode_safetensors(const TensorFile& file) {
  json header = json::object();
  header[kMetadata] = file.metadata;
  std::size_t begin = 0;
  for (const NamedTensor& tensor : file.tensors) {
    CHECK(static_cast<std::size_t>(element_count(tensor.shape)) == tensor.values.size(), tensor.name);
    CHECK(!header.contains(tensor.name), tensor.name);
    const std::size_t end = begin + tensor.values.size() * sizeof(float);
    header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  const std::string data = pack_data(file.tensors);
  header[kMetadata][kChecksum] = checksum_of(header, data);
  std::string text = dump(header);
  text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  const std::uint64_t length = text.size();
  std::string bytes(kLengthBytes, '\0');
  std::memcpy(bytes.data(), &length, kLengthBytes);
  bytes.reserve(kLengthBytes + text.size() + data.size());
  return bytes.append(text).append(data);
}

Result<TensorFile> decode_safetensors(std::string_view bytes) {
  std::uint64_t length = 0;
  if (bytes.size() < kLengthBytes) {
    return failure(fmt::format("it has {} bytes, too few for a header", bytes.size()));
  }
  std::memcpy(&length, bytes.data(), kLengthBytes);
  bytes.remove_prefix(kLengthBytes);
  if (length > kMaxHeaderBytes || length > bytes.size()) {
    return failure(fmt::format("its header would have {} bytes, but only {} follow", length, bytes.size()));
  }
  const std::string_view data = bytes.substr(length);
  ASSIGN_OR_RETURN(json header, parse_header(bytes.substr(0, length)));
  ASSIGN_OR_RETURN(const bool has_checksum, take_checksum(header, data));
  ASSIGN_OR_RETURN(const std::vector<TensorEntry> entries, read_entries(header, data.size()));
  TensorFile file;
  file.has_checksum = has_checksum;
  if (header.contains(kMetadata)) {
    file.metadata = header[kMetadata].get<std::map<std::string, std::string>>();
  }
  for (const TensorEntry& entry : entries) {
    std::vector<float> values((entry.end - entry.begin) / sizeof(float));
    if (!values.empty()) {
      std::memcpy(values.data(), data.data() + entry.begin, entry.end - entry.begin);
    }
    file.tensors.push_back({entry.name, entry.shape, std::move(values)});
  }
  return file;
}

}  // namespace regatta
