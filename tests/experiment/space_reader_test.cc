// The `space:` section: what it reads, and every range that it refuses.
#include <gmock/gmock.h>

#include "experiment/space.h"

namespace regatta {
namespace {

std::string mistake(std::string_view yaml) {
  const auto node = parse_yaml(yaml, "exp.yaml");
  EXPECT_TRUE(node.ok()) << node.error().message;
  const auto space = read_space(*node);
  return space.ok() ? "no mistake" : space.error().message;
}

TEST(SpaceReader, ReadsEveryKindOfParameterInOrder) {
  const auto node = parse_yaml(R"(
lr: {float: [1e-4, 1], log: true}
p: {float: [0, 1], step: 0.25}
width: {int: [16, 64], step: 16}
units: {int: [1, 1e3], log: true}
optimizer: {choice: [sgd, 2, "2", null]}
momentum: {float: [0.5, 0.9], when: optimizer == sgd}
)",
                               "exp.yaml");
  ASSERT_TRUE(node.ok());
  const auto space = read_space(*node);
  ASSERT_TRUE(space.ok()) << space.error().message;
  ASSERT_EQ(space->size(), 6u);
  EXPECT_EQ(space->index_of("width"), 2u);
  EXPECT_EQ(space->index_of("absent"), std::nullopt);
  const auto& lr = std::get<FloatDomain>(space->parameters()[0].domain);
  EXPECT_EQ(lr.low, 1e-4);
  EXPECT_EQ(lr.high, 1);
  EXPECT_TRUE(lr.log);
  EXPECT_EQ(std::get<FloatDomain>(space->parameters()[1].domain).step, 0.25);
  EXPECT_EQ(std::get<IntDomain>(space->parameters()[2].domain).step, 16);
  EXPECT_EQ(std::get<IntDomain>(space->parameters()[3].domain).high, 1000);
  EXPECT_EQ(std::get<ChoiceDomain>(space->parameters()[4].domain).choices.size(), 4u);
  EXPECT_EQ(space->parameters()[5].when->text(), "optimizer == sgd");
  EXPECT_EQ(space->parameters()[5].place.str(), "exp.yaml:7:1");
}

TEST(SpaceReader, RefusesMistakesWithTheirPlace) {
  const struct {
    const char* yaml;
    const char* message;
  } cases[] = {
      {"[1]", "exp.yaml:1:1: expected a map of parameters for space, not a list"},
      {"x: 0.1", "exp.yaml:1:4: expected a map for parameter 'x', not 0.1"},
      {"x: {}", "exp.yaml:1:4: expected one of float, int or choice for parameter 'x'"},
      {"x: {float: [0, 1], int: [0, 1]}",
       "exp.yaml:1:4: expected one of float, int or choice for parameter 'x'"},
      {"x: {flaot: [0, 1]}", "exp.yaml:1:5: unknown key 'flaot' in parameter 'x' (did you mean 'float'?)"},
      {"x: {choice: [a], log: true}",
       "exp.yaml:1:18: unknown key 'log' in parameter 'x'; known are float, int, choice, when"},
      {"x: {float: 1}", "exp.yaml:1:12: expected the two ends of a range, such as [0, 1]"},
      {"x: {int: [1, 2, 3]}", "exp.yaml:1:10: expected the two ends of a range, such as [0, 1]"},
      {"x: {float: [1, 1]}", "exp.yaml:1:12: expected the lower end before the upper one, not [1, 1]"},
      {"x: {int: [2, 1]}", "exp.yaml:1:10: expected the lower end before the upper one, not [2, 1]"},
      {"x: {float: [0, 1], log: true}", "exp.yaml:1:13: expected a number above 0, not 0"},
      {"x: {int: [0, 9], log: true}", "exp.yaml:1:11: expected an integer from 1 to 1000000000000, not 0"},
      {"x: {float: [0, .inf]}", "exp.yaml:1:16: expected a number, not .inf"},
      {"x: {float: [.nan, 1]}", "exp.yaml:1:13: expected a number, not .nan"},
      {"x: {float: [0, one]}", "exp.yaml:1:16: expected a number, not 'one'"},
      {"x: {int: [0, 1.5]}",
       "exp.yaml:1:14: expected an integer from -1000000000000000 to 1000000000000000, not 1.5"},
      {"x: {float: [0, 1], log: yes}", "exp.yaml:1:25: expected true or false for 'log', not 'yes'"},
      {"x: {float: [0, 1], step: 0}", "exp.yaml:1:26: expected a number above 0 for 'step', not 0"},
      {"x: {float: [0, 1], step: 2}",
       "exp.yaml:1:26: expected a step within the range, which is 1 wide, not 2"},
      {"x: {float: [0, 1], step: 1e-30}",
       "exp.yaml:1:26: expected a larger step: the range has more than 1e15 of them"},
      {"x: {float: [1, 2], step: 0.5, log: true}", "exp.yaml:1:26: a logarithmic range takes no step"},
      {"x: {int: [1, 9], step: 2, log: true}", "exp.yaml:1:24: a logarithmic range takes no step"},
      {"x: {int: [1, 9], step: 0}", "exp.yaml:1:24: expected an integer of at least 1 for 'step', not 0"},
      {"x: {int: [1, 9], step: 10}",
       "exp.yaml:1:24: expected a step within the range, which is 8 wide, not 10"},
      {"x: {choice: a}", "exp.yaml:1:13: expected a list of one or more choices, such as [a, b]"},
      {"x: {choice: []}", "exp.yaml:1:13: expected a list of one or more choices, such as [a, b]"},
      {"x: {choice: [a, b, a]}", "exp.yaml:1:20: the choice a stands twice"},
      {"x: {choice: [1, 1.0]}", "exp.yaml:1:17: the choice 1.0 stands twice"},
      {"x: {choice: [[1, 2]]}",
       "exp.yaml:1:14: expected a text, a number, true, false or null as a choice, not a list"},
      {"x: {choice: [.nan]}", "exp.yaml:1:14: expected a finite number as a choice, not .nan"},
      {"learning-rate: {float: [0, 1]}",
       "exp.yaml:1:1: 'learning-rate' cannot name a parameter: a name is letters, digits and _, begins with "
       "no digit, "
       "and is no word of expressions"},
      {"x: {float: [0, 1], when: [y]}",
       "exp.yaml:1:26: expected a condition such as \"optimizer == sgd\", not a list"},
      {"x: {float: [0, 1], when: y > 1}\ny: {int: [0, 2]}",
       "exp.yaml:1:26: this comparison uses no parameter declared above"},
      {"opt: {choice: [sgd, adam]}\nx: {float: [0, 1], when: opt == sdg}",
       "exp.yaml:2:26: 'opt' is sgd or adam, never sdg (did you mean 'sgd'?)"},
      {"opt: {choice: [1, 2]}\nx: {float: [0, 1], when: opt == '1'}",
       "exp.yaml:2:26: 'opt' is 1 or 2, never \"1\""},
  };
  for (const auto& [yaml, message] : cases) {
    EXPECT_EQ(mistake(yaml), message) << yaml;
  }
}

TEST(SpaceReader, RefusesNamesThatExpressionsCouldNotUse) {
  for (const char* name : {"and", "or", "not", "in", "true", "null", "1x", "a.b", "a b", "größe"}) {
    EXPECT_THAT(mistake("\"" + std::string(name) + "\": {int: [0, 1]}"),
                testing::HasSubstr("cannot name a parameter"))
        << name;
  }
}

}  // namespace
}  // namespace regatta
