// The experiment as a whole: what is read from a good file, and how overrides reach it.
#include "experiment/experiment.h"

#include <gmock/gmock.h>

#include "base/file.h"

namespace regatta {
namespace {

constexpr std::string_view kExperiment = R"(name: fashion-cnn
seed: 7
objective: {maximize: val_accuracy}
search:
  sampler: gp
  stop: {trials: 100}
space:
  lr:        {float: [1e-4, 1e-1], log: true}
  width:     {int: [16, 64], step: 16}
  optimizer: {choice: [sgd, adam]}
  momentum:  {float: [0.8, 0.99], when: optimizer == sgd}
data: {format: idx}
model:
  layers:
    - conv: {filters: $width, kernel: 3}
    - relu
train: {optimizer: {type: $optimizer, lr: $lr, momentum: $momentum}, batch_size: 256}
resources: {crews: 2}
)";

Experiment parse(std::string_view yaml, const std::vector<std::string>& overrides = {}) {
  auto experiment = parse_experiment(yaml, "dir/exp.yaml", overrides);
  EXPECT_TRUE(experiment.ok()) << experiment.error().message;
  return experiment.ok() ? *experiment : Experiment{};
}

std::string mistake(std::string_view yaml, const std::vector<std::string>& overrides = {}) {
  const auto experiment = parse_experiment(yaml, "exp.yaml", overrides);
  return experiment.ok() ? "no mistake" : experiment.error().message;
}

TEST(Experiment, ReadsWhatAllPartsShare) {
  const Experiment experiment = parse(kExperiment);
  EXPECT_EQ(experiment.name, "fashion-cnn");
  EXPECT_EQ(experiment.seed, 7u);
  ASSERT_EQ(experiment.objectives.size(), 1u);
  EXPECT_EQ(experiment.objectives[0].metric, "val_accuracy");
  EXPECT_EQ(experiment.objectives[0].direction, Direction::maximize);
  EXPECT_EQ(experiment.space.size(), 4u);
  EXPECT_EQ(experiment.section("resources")->find("crews")->text(), "2");
  EXPECT_EQ(experiment.section("command"), nullptr);
  EXPECT_TRUE(experiment.section_or_empty("command").is_null());
  EXPECT_EQ(experiment.section_or_empty("command").place().str(), "dir/exp.yaml");
}

TEST(Experiment, TakesItsNameFromTheFile) {
  EXPECT_EQ(parse("objective: {minimize: loss}").name, "exp");
  EXPECT_EQ(parse_experiment("objective: {minimize: loss}", "a/my first (try).yaml")->name, "my_first__try_");
  EXPECT_EQ(parse_experiment("objective: {minimize: loss}", "/dev/.yaml")->name, "experiment");
}

TEST(Experiment, ReadsSeveralObjectivesInOrder) {
  const Experiment experiment = parse("objective: [{maximize: accuracy}, {minimize: seconds}]");
  ASSERT_EQ(experiment.objectives.size(), 2u);
  EXPECT_EQ(experiment.objectives[0].metric, "accuracy");
  EXPECT_EQ(experiment.objectives[1].metric, "seconds");
  EXPECT_EQ(experiment.objectives[1].direction, Direction::minimize);
}

TEST(Experiment, LetsParametersBeUnusedWhereNothingCouldUseThem) {
  EXPECT_EQ(parse("objective: {minimize: y}\nspace: {x: {float: [0, 1]}}").space.size(), 1u);
}

TEST(Experiment, TakesAParameterThatOnlyConditionsMentionAsUsed) {
  EXPECT_EQ(mistake("objective: {minimize: y}\n"
                    "space: {big: {choice: [true, false]}, x: {int: [1, 9], when: big}}\n"
                    "command: [run, $x]\n"),
            "no mistake");
}

TEST(Experiment, AppliesOverridesBeforeItIsChecked) {
  const Experiment experiment = parse(
      kExperiment, {"name=again", "seed=9", "space.lr={float: [0.1, 0.2]}", "model.layers.0.conv.kernel=5"});
  EXPECT_EQ(experiment.name, "again");
  EXPECT_EQ(experiment.seed, 9u);
  EXPECT_EQ(std::get<FloatDomain>(experiment.space.parameters()[0].domain).high, 0.2);
  EXPECT_EQ(experiment.section("model")->find("layers")->items()[0].find("conv")->find("kernel")->text(),
            "5");
}

TEST(Experiment, TellsMistakesOfOverridesByTheirName) {
  EXPECT_EQ(mistake(kExperiment, {"seed=-1"}),
            "--set seed: expected an integer of at least 0 for 'seed', not -1");
  EXPECT_EQ(mistake(kExperiment, {"space.lr.float=[2, 1]"}),
            "--set space.lr.float: expected the lower end before the upper one, not [2, 1]");
  EXPECT_EQ(mistake(kExperiment, {"trian.epochs=3"}),
            "--set trian.epochs: unknown key 'trian' in the experiment (did you mean 'train'?)");
  EXPECT_EQ(mistake(kExperiment, {"train.epochs=$epochs"}),
            "--set train.epochs: '$epochs' is no parameter of the space");
}

TEST(Experiment, ReadsBackFromItsOwnYaml) {
  const Experiment experiment = parse(kExperiment);
  const std::string yaml = to_yaml(experiment.root);
  EXPECT_EQ(to_yaml(parse(yaml).root), yaml);
}

TEST(Experiment, SubstitutesEverySectionAtEveryRepresentativePoint) {
  const Experiment experiment = parse(kExperiment);
  const auto points = representative_points(experiment.space);
  EXPECT_GE(points.size(), 2u);
  for (const Point& point : points) {
    const auto train = substitute(*experiment.section("train"), experiment.space, point);
    ASSERT_TRUE(train.ok()) << train.error().message;
    EXPECT_EQ(train->find("optimizer")->find("momentum") != nullptr,
              train->find("optimizer")->find("type")->text() == "sgd");
  }
}

TEST(Experiment, LoadsFromAFileAndTellsWhenThereIsNone) {
  const auto folder = TemporaryDirectory::make();
  ASSERT_TRUE(folder.ok());
  const auto path = folder->path() / "cnn.yaml";
  ASSERT_TRUE(write_file_atomically(path, "objective: {minimize: loss}\n").ok());
  const auto experiment = load_experiment(path, {"seed=3"});
  ASSERT_TRUE(experiment.ok()) << experiment.error().message;
  EXPECT_EQ(experiment->name, "cnn");
  EXPECT_EQ(experiment->seed, 3u);
  const auto absent = load_experiment(folder->path() / "absent.yaml", {});
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().kind, Error::Kind::user_mistake);
  EXPECT_THAT(absent.error().message, testing::HasSubstr("absent.yaml"));
}

}  // namespace
}  // namespace regatta
