// Broken experiment files: each is answered with one sentence that begins with file, line and column.
#include <gmock/gmock.h>

#include "experiment/experiment.h"

namespace regatta {
namespace {

struct BrokenFile {
  const char* name;
  const char* yaml;
  const char* message;
};

void PrintTo(const BrokenFile& file, std::ostream* stream) { *stream << file.name; }

class BrokenFiles : public testing::TestWithParam<BrokenFile> {};

TEST_P(BrokenFiles, AreToldInOneSentenceWithTheirPlace) {
  const auto experiment = parse_experiment(GetParam().yaml, "exp.yaml");
  ASSERT_FALSE(experiment.ok());
  EXPECT_EQ(experiment.error().kind, Error::Kind::user_mistake);
  EXPECT_EQ(experiment.error().message, GetParam().message);
  EXPECT_EQ(experiment.error().message.find('\n'), std::string::npos);
}

const BrokenFile kBrokenFiles[] = {
    {"Empty", "", "exp.yaml: 'objective' is missing in the experiment"},
    {"NoMap", "- a\n- b\n", "exp.yaml:1:1: expected a map for the experiment, not a list"},
    {"NoObjective", "name: x\n", "exp.yaml:1:1: 'objective' is missing in the experiment"},
    {"MistypedSection", "objective: {minimize: loss}\nresorces: {crews: 1}\n",
     "exp.yaml:2:1: unknown key 'resorces' in the experiment (did you mean 'resources'?)"},
    {"MistypedObjective", "objectiv: {minimize: loss}\n",
     "exp.yaml:1:1: unknown key 'objectiv' in the experiment (did you mean 'objective'?)"},
    {"MistypedDirection", "objective: {maximise: acc}\n",
     "exp.yaml:1:13: unknown key 'maximise' in objective (did you mean 'maximize'?)"},
    {"BareObjective", "objective: loss\n",
     "exp.yaml:1:12: expected {maximize: METRIC} or {minimize: METRIC}, not a text"},
    {"BothDirections", "objective: {minimize: a, maximize: b}\n",
     "exp.yaml:1:12: expected {maximize: METRIC} or {minimize: METRIC}; several objectives are a list of "
     "these"},
    {"NoObjectives", "objective: []\n", "exp.yaml:1:12: expected one or more objectives"},
    {"SameMetricTwice", "objective:\n  - {minimize: a}\n  - {maximize: a}\n",
     "exp.yaml:3:16: the metric 'a' stands twice"},
    {"MetricIsAList", "objective: {minimize: [a]}\n",
     "exp.yaml:1:23: expected the name of a metric, not a list"},
    {"NegativeSeed", "objective: {minimize: a}\nseed: -3\n",
     "exp.yaml:2:7: expected an integer of at least 0 for 'seed', not -3"},
    {"NameIsAPath", "objective: {minimize: a}\nname: ../x\n",
     "exp.yaml:2:7: expected a name of at most 100 letters, digits, '_', '-' and '.' that begins with none "
     "of the last "
     "two, not '../x'"},
    {"DuplicateSection", "objective: {minimize: a}\nseed: 1\nseed: 2\n",
     "exp.yaml:3:1: the key 'seed' stands twice; it was first given in line 2"},
    {"DuplicateParameter", "objective: {minimize: a}\nspace:\n  x: {int: [1, 2]}\n  x: {int: [1, 3]}\n",
     "exp.yaml:4:3: the key 'x' stands twice; it was first given in line 3"},
    {"RangeUpsideDown", "objective: {minimize: a}\nspace:\n  lr: {float: [1, 0.1]}\n",
     "exp.yaml:3:15: expected the lower end before the upper one, not [1, 0.1]"},
    {"ConditionOnALaterParameter",
     "objective: {minimize: a}\nspace:\n  m: {float: [0, 1], when: opt == sgd}\n  opt: {choice: [sgd, "
     "adam]}\n",
     "exp.yaml:3:28: this comparison uses no parameter declared above"},
    {"UnknownName", "objective: {minimize: a}\nspace: {width: {int: [1, 9]}}\ntrain:\n  size: $with\n",
     "exp.yaml:4:9: '$with' is no parameter of the space (did you mean 'width'?)"},
    {"NameInResources",
     "objective: {minimize: a}\nspace: {n: {int: [1, 9]}}\ntrain: {k: $n}\nresources: {ranks: $n}\n",
     "exp.yaml:4:20: a $ may stand only under data, model, train and command"},
    {"NameInSearch", "objective: {minimize: a}\nsearch: {sampler: {type: $s}}\n",
     "exp.yaml:2:26: a $ may stand only under data, model, train and command"},
    {"NameAsAKey", "objective: {minimize: a}\nspace: {n: {int: [1, 9]}}\nmodel:\n  - $n: 3\n",
     "exp.yaml:4:5: a $name stands for a value, never for a key such as '$n'"},
    {"UnusedParameter",
     "objective: {minimize: a}\nspace:\n  n: {int: [1, 9]}\n  m: {int: [1, 9]}\ncommand: [run, $n]\n",
     "exp.yaml:4:3: the parameter 'm' is used nowhere; write $m where its value belongs, or leave it out"},
    {"RequirementOnNoParameter",
     "objective: {minimize: a}\nspace:\n  width: {int: [1, 9]}\n  require: widht < 4\n",
     "exp.yaml:4:12: this comparison uses no parameter of the space (did you mean 'width'?)"},
    {"RequirementOnAMistypedParameter",
     "objective: {minimize: a}\nspace:\n  width: {int: [1, 9]}\n  require: [width > 1, width * dept < 4]\n",
     "exp.yaml:4:24: 'dept' is neither a number nor a parameter of the space; a text with '-' in it needs "
     "quotes"},
    {"RequirementIsAParameter", "objective: {minimize: a}\nspace:\n  require: {int: [1, 9]}\n",
     "exp.yaml:3:12: 'require' stands for what the points of the space must satisfy, such as \"width * depth "
     "< 4096\" or a list of these; a parameter needs another name"},
    {"RequirementIsAList", "objective: {minimize: a}\nspace: {n: {int: [1, 9]}, require: [[n > 3]]}\n",
     "exp.yaml:2:37: expected a requirement such as \"width * depth < 4096\", not a list"},
    {"RequirementWithoutText", "objective: {minimize: a}\nspace: {n: {int: [1, 9]}, require: }\n",
     "exp.yaml:2:36: expected a requirement such as \"width * depth < 4096\", not nothing"},
    {"RequirementOfNoChoice",
     "objective: {minimize: a}\nspace:\n  opt: {choice: [sgd, adam]}\n  require: opt != adm\n",
     "exp.yaml:4:12: 'opt' is sgd or adam, never adm (did you mean 'adam'?)"},
    {"RequirementOfNothingPossible",
     "objective: {minimize: a}\nspace:\n  x: {float: [0, 1]}\n  require: [x > 0, x > 2]\n",
     "exp.yaml:4:20: none of 10,000 points drawn at random is allowed by 'x > 2'"},
    {"RequirementsThatExcludeEachOther",
     "objective: {minimize: a}\nspace: {n: {int: [1, 9]}, require: [n > 5, n < 5]}\n",
     "exp.yaml:2:36: no point of the space is allowed by these requirements together"},
    {"TabInIndentation", "objective:\n\tminimize: a\n",
     "exp.yaml:2:1: expected spaces, not a tab: YAML does not indent with tabs"},
    {"TextOverTwoLines", "objective: {minimize: a}\nseed: \"3\\n4\"\n",
     "exp.yaml:2:7: expected an integer of at least 0 for 'seed', not '3 4'"},
    {"OpenQuote", "objective: {minimize: a}\nname: \"x\nseed: 3\n",
     "exp.yaml:2:7: the closing quote of this text is missing"},
};

INSTANTIATE_TEST_SUITE_P(Experiment, BrokenFiles, testing::ValuesIn(kBrokenFiles),
                         [](const auto& file) { return std::string(file.param.name); });

}  // namespace
}  // namespace regatta
