// Checkpoints come back bit by bit, and damage is told, never trained on.
#include "worker/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>

#include "base/file.h"
#include "base/process.h"
#include "base/random.h"
#include "worker/safetensors.h"

namespace regatta {
namespace {

using testing::HasSubstr;

Checkpoint example() {
  Checkpoint checkpoint;
  checkpoint.state.tensors = {
      {"dense1.weight", {2, 3}, {1.5F, -0.0F, std::numeric_limits<float>::denorm_min(), 3e38F, 1e-30F, 7}},
      {"dense1.bias", {2}, {0.1F, std::numeric_limits<float>::infinity()}},
      {"norm.empty", {0, 4}, {}},
      {"scalar", {}, {std::nanf("0x1234")}},
      {"optimizer.momentum.dense1.bias", {2}, {1, 2}}};
  checkpoint.state.steps = 1234567890123;
  checkpoint.trial = 12;
  checkpoint.epoch = 3;
  checkpoint.step = 17;
  checkpoint.sums = {{0.1, 1e300, -5e-324}, {1.0 / 3, 0, 2}};
  checkpoint.seed = std::numeric_limits<std::uint64_t>::max() - 1;
  checkpoint.early_stopping = {1, 0.30000000000000004, 2};
  return checkpoint;
}

class CheckpointFile : public testing::Test {
 protected:
  std::string written() {
    EXPECT_TRUE(save_checkpoint(path_, example()).ok());
    return read_file(path_).value();
  }
  std::string error_of(const std::string& bytes) {
    EXPECT_TRUE(write_file_atomically(path_, bytes).ok());
    const auto loaded = load_checkpoint(path_);
    return loaded.ok() ? "" : loaded.error().message;
  }
  TemporaryDirectory folder_ = TemporaryDirectory::make().value();
  std::filesystem::path path_ = folder_.path() / "checkpoints/trial-00012/one.safetensors";
};

TEST_F(CheckpointFile, ComesBackBitByBit) {
  written();
  const auto loaded = load_checkpoint(path_);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  const Checkpoint expected = example();
  ASSERT_EQ(loaded->state.tensors.size(), expected.state.tensors.size());
  for (std::size_t i = 0; i < expected.state.tensors.size(); ++i) {
    const NamedTensor& tensor = loaded->state.tensors[i];
    EXPECT_EQ(tensor.name, expected.state.tensors[i].name);
    EXPECT_EQ(tensor.shape, expected.state.tensors[i].shape);
    ASSERT_EQ(tensor.values.size(), expected.state.tensors[i].values.size());
    for (std::size_t k = 0; k < tensor.values.size(); ++k) {
      EXPECT_EQ(std::bit_cast<std::uint32_t>(tensor.values[k]),
                std::bit_cast<std::uint32_t>(expected.state.tensors[i].values[k]));
    }
  }
  EXPECT_EQ(loaded->state.steps, expected.state.steps);
  EXPECT_EQ(loaded->trial, expected.trial);
  EXPECT_EQ(loaded->epoch, expected.epoch);
  EXPECT_EQ(loaded->step, expected.step);
  EXPECT_EQ(loaded->sums, expected.sums);
  EXPECT_EQ(loaded->seed, expected.seed);
  EXPECT_EQ(loaded->early_stopping, expected.early_stopping);
}

TEST_F(CheckpointFile, MissingFileIsNamed) {
  const auto loaded = load_checkpoint(path_);
  ASSERT_FALSE(loaded.ok());
  EXPECT_THAT(loaded.error().message, HasSubstr(path_.string()));
}

TEST_F(CheckpointFile, DamageIsToldWithTheFilesName) {
  const std::string good = written();
  const auto flipped = [&](std::size_t at) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    return bytes;
  };
  const auto replaced = [&](std::string_view from, std::string_view to) {
    std::string bytes = good;
    bytes.replace(bytes.find(from), from.size(), to);
    return bytes;
  };
  const struct {
    std::string name;
    std::string bytes;
    std::string sentence;
  } cases[] = {
      {"empty", "", "too few for a header"},
      {"cut in the length", good.substr(0, 5), "too few for a header"},
      {"cut in the header", good.substr(0, 100), "only 92 follow"},
      {"cut in the data", good.substr(0, good.size() - 1), "checksum does not fit"},
      {"longer", good + "x", "checksum does not fit"},
      {"a bit of the data", flipped(good.size() - 3), "checksum does not fit"},
      {"a digit of the epoch", replaced(R"("epoch":"3")", R"("epoch":"2")"), "checksum does not fit"},
      {"no checksum", replaced("regatta_checksum", "regatta-checksum"), "no checkpoint of this version"},
      {"header of text", replaced("{\"__", "?\"__"), "no JSON object"},
      {"huge header", std::string(8, '\xff') + good.substr(8), "its header would have"},
      {"another program's file", encode_safetensors({{{"weight", {1}, {1}}}, {}, false}), "no checkpoint"},
  };
  for (const auto& damage : cases) {
    const std::string error = error_of(damage.bytes);
    EXPECT_THAT(error, HasSubstr(damage.sentence)) << damage.name;
    EXPECT_THAT(error, HasSubstr(path_.string())) << damage.name;
  }
}

std::string file_with(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

TEST(Safetensors, RefusesWhatTheFormatForbids) {
  const std::string data(8, '\0');
  const struct {
    std::string header;
    std::string sentence;
  } cases[] = {
      {R"([])", "no JSON object"},
      {R"({"a":)", "no JSON object"},
      {R"({"a":1})", "is not described by"},
      {R"({"a":{"dtype":"F32","shape":[2]}})", "is not described by"},
      {R"({"a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}})", "does not hold 32-bit floats"},
      {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", "no valid shape"},
      {R"({"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})", "no valid shape"},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", "no valid shape"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", "no valid data_offsets"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,16]}})", "outside of the data"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", "outside of the data"},
      {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", "does not have the size of its shape"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "does not follow"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],)"
       R"("data_offsets":[4,8]}})",
       "does not follow"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "its data has 8 bytes"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{}})", "names 'a' twice"},
      {R"({"__metadata__":{"a":1}})", "no map of texts"},
      {"{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}", "too deeply"},
  };
  for (const auto& wrong : cases) {
    const auto decoded = decode_safetensors(file_with(wrong.header, data));
    ASSERT_FALSE(decoded.ok()) << wrong.header.substr(0, 80);
    EXPECT_THAT(decoded.error().message, HasSubstr(wrong.sentence)) << wrong.header.substr(0, 80);
  }
}

TEST(Safetensors, ReadsFilesOfOtherPrograms) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}   )";
  const std::string data("\x00\x00\x80\x3f\x00\x00\x00\x40", 8);
  const auto decoded = decode_safetensors(file_with(header, data));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_FALSE(decoded->has_checksum);
  ASSERT_EQ(decoded->tensors.size(), 1U);
  EXPECT_EQ(decoded->tensors[0].values, (std::vector<float>{1, 2}));
}

// Any damage must end in an error or in a file that is as good as before; never in a crash.
TEST_F(CheckpointFile, RandomDamageNeverPassesAsAnotherCheckpoint) {
  const std::string good = written();
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  const Random random(seed, "damage");
  for (std::uint64_t round = 0; round < 4000; ++round) {
    const Random numbers = random.substream(round);
    std::string bytes = good;
    const std::uint64_t flips = 1 + numbers.below(0, 4);
    for (std::uint64_t flip = 0; flip < flips; ++flip) {
      const std::uint64_t at = numbers.below(3 * flip + 1, round % 2 == 0 ? bytes.size() : 400);
      bytes[at] = static_cast<char>(numbers.bits(3 * flip + 2));
    }
    if (round % 5 == 0) {
      bytes.resize(numbers.below(100, bytes.size()));
    }
    const auto decoded = decode_safetensors(bytes);
    if (decoded.ok() && decoded->has_checksum) {
      // Blanks between the parts of the header mean nothing.
      EXPECT_EQ(encode_safetensors(*decoded), good) << "round " << round;
    }
  }
}

constexpr const char* kReader = R"(
import json, struct, sys
import numpy
with open(sys.argv[1], "rb") as file:
    length, = struct.unpack("<Q", file.read(8))
    header = json.loads(file.read(length))
    data = file.read()
assert header.pop("__metadata__")["experiment"] == "fashion"
for name, entry in header.items():
    begin, end = entry["data_offsets"]
    values = numpy.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
    print(name, values.shape, values.sum())
)";

TEST(ExportedModel, IsReadByNumPyWithNamesAndShapes) {
  auto probe = Process::start({.command = {"/usr/bin/python3", "-c", "import numpy"}});
  if (!probe.ok() || !probe->wait_for(std::chrono::seconds(60)).value_or(ExitStatus{1}).success()) {
    GTEST_SKIP() << "python3-numpy is not installed";
  }
  const auto folder = TemporaryDirectory::make();
  const auto model = folder->path() / "best/model.safetensors";
  LaneState state;
  state.tensors = {{"conv1.weight", {2, 1, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}},
                   {"norm1.running_mean", {2}, {0.5, 0.25}},
                   {"optimizer.momentum.conv1.weight", {2, 1, 2, 2}, std::vector<float>(8)}};
  ASSERT_TRUE(export_model(model, state, {{"experiment", "fashion"}}).ok());
  auto python = Process::start(
      {.command = {"/usr/bin/python3", "-c", kReader, model.string()}, .output = folder->path() / "out.txt"});
  ASSERT_TRUE(python->wait_for(std::chrono::seconds(60)));
  EXPECT_EQ(read_file(folder->path() / "out.txt").value(),
            "conv1.weight (2, 1, 2, 2) 36.0\nnorm1.running_mean (2,) 0.75\n");
}

}  // namespace
}  // namespace regatta
