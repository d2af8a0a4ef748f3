// A whole crew under mpirun, ordered about by a scripted coordinator.
#include "worker/crew.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mpi_run.h"
#include "scripted_coordinator.h"
#include "small_data.h"

namespace regatta {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

constexpr const char* kExperiment = R"(
name: small
seed: 7
objective: {maximize: val_accuracy}
data: {format: idx, path: ., validation: 0.2}
model: {layers: [{conv: {filters: 4, kernel: 3}}, relu, {max_pool: 2}, flatten, {dense: 3}]}
train: {optimizer: {type: adam, lr: 0.01}, batch_size: 24}
)";

class CrewTest : public testing::Test {
 protected:
  CrewTest() { write_small_images(folder_.path()); }

  void start_crew(int ranks) {
    auto started = start_crew_program(ranks, {folder_.path().string(), "crew-0.1"}, output_);
    ASSERT_TRUE(started.ok());
    crew_.emplace(std::move(started).value());
    ASSERT_TRUE(coordinator_.next().has_hello()) << text_of_file(output_);
    welcome();
  }
  void welcome(int orphan_limit_ms = 60'000) {
    coordinator_.welcome(orphan_limit_ms, kExperiment, (folder_.path() / "small.yaml").string());
  }
  wire::Report next_report() {
    const wire::FromCrew message = coordinator_.next();
    EXPECT_TRUE(message.has_report()) << message.ShortDebugString() << text_of_file(output_);
    return message.report();
  }
  void expect_clean_exit() {
    const auto status = crew_->wait_for(seconds(60));
    ASSERT_TRUE(status) << text_of_file(output_);
    EXPECT_TRUE(status->success()) << status->describe() << text_of_file(output_);
  }

  TemporaryDirectory folder_ = TemporaryDirectory::make().value();
  std::filesystem::path output_ = folder_.path() / "crew.txt";
  ScriptedCoordinator coordinator_{folder_.path(), "crew-0.1"};
  std::optional<Process> crew_;
};

// The exported file, read by hand, gives in PyTorch the accuracy that the crew measured.
constexpr const char* kTorch = R"(
import json, struct, sys
import numpy, torch
import torch.nn.functional as f
folder = sys.argv[1]
with open(folder + "/best/model.safetensors", "rb") as file:
    length, = struct.unpack("<Q", file.read(8))
    header = json.loads(file.read(length))
    data = file.read()
header.pop("__metadata__")
weights = {}
for name, entry in header.items():
    values = numpy.frombuffer(data[slice(*entry["data_offsets"])], "<f4")
    weights[name] = torch.tensor(values.reshape(entry["shape"]))
about = json.load(open(folder + "/best/model.json"))
shift, scale = about["normalization"]["shift"][0], about["normalization"]["scale"][0]
images = numpy.frombuffer(open(folder + "/t10k-images-idx3-ubyte", "rb").read()[16:], "u1")
images = images.reshape(-1, 1, 8, 8)
labels = numpy.frombuffer(open(folder + "/t10k-labels-idx1-ubyte", "rb").read()[8:], "u1")
x = (torch.tensor(images.astype("f4")) - shift) * scale
for layer in about["layers"]:
    kind, weight = layer["layer"], weights.get(layer["name"] + ".weight")
    bias = weights.get(layer["name"] + ".bias")
    if kind == "conv":
        x = f.conv2d(x, weight, bias, stride=layer["stride"], padding=layer["padding"])
    elif kind == "dense":
        x = f.linear(x.flatten(1), weight, bias)
    elif kind == "max_pool":
        x = f.max_pool2d(x, layer["size"], layer["stride"])
    else:
        x = {"relu": f.relu, "flatten": lambda x: x.flatten(1)}[kind](x)
    assert list(x.shape[1:]) == layer["output"], (kind, x.shape)
print("accuracy", (x.argmax(1).numpy() == labels).mean())
)";

TEST_F(CrewTest, TrainsEvaluatesAndEndsWhenDismissed) {
  start_crew(2);
  coordinator_.start(1, 2);
  EXPECT_EQ(next_report().epoch(), 1);
  coordinator_.answer(1, 1, 2);
  const wire::Report report = next_report();
  coordinator_.answer(1, 2, 0);
  EXPECT_TRUE(coordinator_.next().has_lane_free());
  coordinator_.evaluate(12, report.checkpoint());
  const wire::FromCrew done = coordinator_.next();
  ASSERT_TRUE(done.has_evaluation_done());
  EXPECT_EQ(done.evaluation_done().error(), "");
  ASSERT_EQ(done.evaluation_done().metrics_size(), 5);
  EXPECT_EQ(done.evaluation_done().metrics(1).name(), "test_accuracy");
  EXPECT_EQ(done.evaluation_done().model(), "best/model.safetensors");
  coordinator_.dismiss();
  EXPECT_TRUE(coordinator_.next().has_goodbye());
  expect_clean_exit();
  const auto about = nlohmann::json::parse(text_of_file(folder_.path() / "best/model.json"));
  EXPECT_EQ(about["trial"], 12);
  EXPECT_EQ(about["classes"].size(), 3U);

  auto torch = Process::start({.command = {"/usr/bin/python3", "-c", kTorch, folder_.path().string()},
                               .output = folder_.path() / "torch.txt"});
  if (!torch.ok() || !torch->wait_for(seconds(100)).value_or(ExitStatus{1}).success()) {
    const std::string output = text_of_file(folder_.path() / "torch.txt");
    ASSERT_THAT(output, HasSubstr("No module named"));
    GTEST_SKIP() << "python3-torch is not installed";
  }
  const std::string output = text_of_file(folder_.path() / "torch.txt");
  EXPECT_NEAR(std::stod(output.substr(output.find(' '))), done.evaluation_done().metrics(1).value(), 1e-6);
}

TEST_F(CrewTest, TrainsOnThroughTheCoordinatorsDeath) {
  start_crew(2);
  coordinator_.start(1, 3);
  EXPECT_EQ(next_report().epoch(), 1);
  coordinator_.die();
  coordinator_.listen();
  const wire::FromCrew hello = coordinator_.next();
  ASSERT_EQ(hello.hello().attempts_size(), 1);
  welcome();
  for (int epoch = 1; epoch <= 3; ++epoch) {  // none was answered
    EXPECT_EQ(next_report().epoch(), epoch);
    coordinator_.answer(1, epoch, epoch < 3 ? 3 : 0);
  }
  EXPECT_TRUE(coordinator_.next().has_lane_free());
  coordinator_.dismiss();
  expect_clean_exit();
}

TEST_F(CrewTest, SuspendsWithACheckpointWhileItWaitsForAnAnswer) {
  start_crew(2);
  coordinator_.start(1, 1);
  const wire::Report report = next_report();
  coordinator_.suspend(1);
  const wire::FromCrew finished = coordinator_.next();
  EXPECT_EQ(finished.attempt_finished().outcome(), wire::AttemptFinished::INTERRUPTED);
  EXPECT_EQ(finished.attempt_finished().checkpoint(), report.checkpoint());
  coordinator_.end(1);
  coordinator_.dismiss();
  expect_clean_exit();
}

TEST_F(CrewTest, EndsByItselfWhenTheCoordinatorStaysAway) {
  auto started = start_crew_program(2, {folder_.path().string(), "crew-0.1"}, output_);
  ASSERT_TRUE(started.ok());
  crew_.emplace(std::move(started).value());
  ASSERT_TRUE(coordinator_.next().has_hello());
  welcome(500);
  coordinator_.start(1, 1);
  EXPECT_EQ(next_report().epoch(), 1);
  coordinator_.die();
  expect_clean_exit();
  EXPECT_THAT(text_of_file(output_), HasSubstr("this crew ends"));
}

TEST_F(CrewTest, AKilledRankEndsTheCrewWithAnError) {
  start_crew(2);
  coordinator_.start(1, 9);
  EXPECT_EQ(next_report().epoch(), 1);
  auto killer = Process::start(
      {.command = {"sh", "-c", "kill -9 $(pgrep -n -P $1)", "sh", std::to_string(crew_->id())}});
  ASSERT_TRUE(killer->wait_for(seconds(10)));
  const auto status = crew_->wait_for(seconds(60));
  ASSERT_TRUE(status);
  EXPECT_FALSE(status->success());
}

}  // namespace
}  // namespace regatta
