// Tensor files: what is accepted has tensors of their shapes and, written again, reads back bit by bit.
// Changes to bytes hardly ever leave the header's length right, so the input also counts as a header's text
// and the data after its first line end.
#include "worker/safetensors.h"

#include <algorithm>
#include <cstring>

#include "tests/fuzz/properties.h"
#include "tests/fuzz/target.h"

namespace regatta {
namespace {

bool same_bits(const NamedTensor& a, const NamedTensor& b) {
  const std::size_t bytes = a.values.size() * sizeof(float);
  return a.name == b.name && a.shape == b.shape && a.values.size() == b.values.size() &&
         (bytes == 0 || std::memcmp(a.values.data(), b.values.data(), bytes) == 0);
}

void check(std::string_view bytes) {
  const auto file = decode_safetensors(bytes);
  if (!file.ok()) {
    CHECK(!file.error().message.empty());
    return;
  }
  for (const NamedTensor& tensor : file->tensors) {
    CHECK(std::ranges::all_of(tensor.shape, [](std::int64_t size) { return size >= 0; }), tensor.name);
  }
  const std::string written = encode_safetensors(*file);
  const auto again = decode_safetensors(written);
  CHECK(again.ok(), again.error().message);
  CHECK(again->has_checksum);
  CHECK(again->metadata == file->metadata);
  CHECK(std::ranges::equal(again->tensors, file->tensors, same_bits));
  CHECK(encode_safetensors(*again) == written);
}

std::string with_length(std::string_view header_and_data) {
  const std::size_t end = std::min(header_and_data.find('\n'), header_and_data.size());
  const std::uint64_t length = end;
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  bytes += header_and_data.substr(0, end);
  return bytes.append(header_and_data.substr(std::min(end + 1, header_and_data.size())));
}

std::string example() {
  return encode_safetensors({.tensors = {{"w", {2, 3}, {1, -0.0F, 3e38F, 1e-40F, 5, 6}}, {"e", {0, 4}, {}}},
                             .metadata = {{"format", "pt"},
                                          {"gr\xC3\xB6\xC3\x9F"
                                           "e",
                                           "\"\n"}}});
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  return {
      "",
      example(),
      encode_safetensors({}),
      "{}\n",
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"F32","shape":[],"data_offsets":[8,12]}})"
      "\n0123456789ab",
      R"({"__metadata__":{"a":"b"},"e":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})"
      "\n",
      R"({"a":{"dtype":"F32","shape":[9223372036854775807,0,3],"data_offsets":[0,0]}})"
      "\n",
      R"({"__metadata__":{"regatta_checksum":"0000000000000000"}})"
      "\n",
      R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},"a":[[[[[]]]]]})"
      "\nab",
      std::string(100'000, '['),
  };
}

}  // namespace regatta

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = regatta::fuzz::text_of(data, size);
  regatta::check(input);
  regatta::check(regatta::with_length(input));
  return 0;
}
