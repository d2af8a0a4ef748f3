// The metadata of checkpoints: what is accepted, saved again, loads back equal. The input is "key=text"
// lines; the file around them is whole, since a damaged one never gets as far as its metadata.
#include "worker/checkpoint.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "tests/fuzz/properties.h"
#include "tests/fuzz/target.h"
#include "worker/safetensors.h"

namespace regatta {
namespace {

std::string file_with(std::string_view lines) {
  TensorFile file;
  file.tensors = {{"w", {2}, {1.5F, -2}}};
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    const std::size_t equals = std::min(line.find('='), line.size());
    file.metadata[std::string(line.substr(0, equals))] = line.substr(std::min(equals + 1, line.size()));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
  }
  return encode_safetensors(file);
}

// A file that is only in memory: a disk would make each input wait.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : descriptor_(::memfd_create("checkpoint", MFD_CLOEXEC)) {
    CHECK(descriptor_ >= 0);
    CHECK(::write(descriptor_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  MemoryFile(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(descriptor_); }
  std::filesystem::path path() const { return fmt::format("/proc/self/fd/{}", descriptor_); }

 private:
  int descriptor_;
};

void check_counts(const Checkpoint& checkpoint) {
  CHECK(checkpoint.state.steps >= 0 && checkpoint.trial >= 0);
  CHECK(checkpoint.epoch >= 0 && checkpoint.step >= 0);
  for (const auto& row : checkpoint.sums) {
    CHECK(row.size() == checkpoint.sums[0].size());
  }
}

void check_same(const Checkpoint& a, const Checkpoint& b) {
  CHECK(a.state.steps == b.state.steps && a.trial == b.trial && a.epoch == b.epoch && a.step == b.step);
  CHECK(a.seed == b.seed);
  CHECK(a.sums == b.sums);
  CHECK(a.early_stopping == b.early_stopping);
  CHECK(a.state.tensors.size() == b.state.tensors.size());
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  const std::string good =
      "format=regatta checkpoint 1\noptimizer_steps=1234567890123\ntrial=12\nepoch=3\nstep=17\n"
      "sums=[[0.1,1e300],[-5e-324,2]]\nseed=18446744073709551614\nearly_stopping=[0.3,2]\n";
  return {
      good,
      good + "sums=[]\nearly_stopping=[]\nstep=0\nother=\n",
      good + "sums=[[],[]]\ntrial=2147483648\n",
      good + "sums=[[1],[2,3]]\n",
      good + "epoch=" + std::string(100'000, '[') + "\n",
      good + "early_stopping=[null,\"1\",true,{}]\nseed=-1\nepoch=1.0\n",
  };
}

}  // namespace regatta

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace regatta;
  const MemoryFile file(file_with(fuzz::text_of(data, size)));
  const auto checkpoint = load_checkpoint(file.path());
  if (!checkpoint.ok()) {
    const std::string& message = checkpoint.error().message;
    CHECK(message.starts_with("the checkpoint " + file.path().string() + " cannot be used: it"), message);
    return 0;
  }
  check_counts(*checkpoint);
  static const TemporaryDirectory folder = TemporaryDirectory::make().value();
  const std::filesystem::path path = folder.path() / "again.safetensors";
  const Status saved = save_checkpoint(path, *checkpoint);
  CHECK(saved.ok(), saved.error().message);
  const auto again = load_checkpoint(path);
  CHECK(again.ok(), again.error().message);
  check_same(*checkpoint, *again);
  return 0;
}
