// Sections: typed reads, fallbacks, and the sentences for what is wrong.
#include "experiment/section.h"

#include <gmock/gmock.h>

#include <functional>

namespace regatta {
namespace {

Node parse(std::string_view text) {
  auto node = parse_yaml(text, "exp.yaml");
  EXPECT_TRUE(node.ok()) << node.error().message;
  return node.ok() ? *node : Node::null({});
}

// What finish() says after `read`; "" when all is well.
std::string mistake(std::string_view yaml, const std::function<void(Section&)>& read) {
  const Node node = parse(yaml);
  Section section(node, "train");
  read(section);
  const Status status = section.finish();
  return status.ok() ? "" : status.error().message;
}

TEST(Section, ReadsEveryTypeAndFallsBackWhereAKeyIsAbsent) {
  const Node node =
      parse("{lr: 1e-3, size: 1e3, on: true, name: 5, kind: adam, list: [a, 2], one: x, none: ~}");
  Section section(node, "train");
  EXPECT_EQ(section.number("lr"), 1e-3);
  EXPECT_EQ(section.integer("size"), 1000);
  EXPECT_TRUE(section.flag("on", false));
  EXPECT_EQ(section.text("name"), "5");
  EXPECT_EQ(section.choice("kind", {"sgd", "adam"}), "adam");
  EXPECT_THAT(section.texts("list"), testing::ElementsAre("a", "2"));
  EXPECT_THAT(section.texts("one"), testing::ElementsAre("x"));
  EXPECT_EQ(section.optional_number("none"), std::nullopt);
  EXPECT_EQ(section.number("absent", {.fallback = 0.5}), 0.5);
  EXPECT_EQ(section.integer("absent", {.fallback = 3}), 3);
  EXPECT_TRUE(section.flag("absent", true));
  EXPECT_EQ(section.text("absent", "t"), "t");
  EXPECT_EQ(section.choice("absent", {"a", "b"}, "b"), "b");
  EXPECT_THAT(section.texts("absent", std::vector<std::string>{"q"}), testing::ElementsAre("q"));
  EXPECT_EQ(section.optional_integer("absent"), std::nullopt);
  EXPECT_EQ(section.optional_text("absent"), std::nullopt);
  EXPECT_EQ(section.child("absent"), nullptr);
  const Status status = section.finish();
  EXPECT_TRUE(status.ok()) << status.error().message;
}

TEST(Section, SaysWhatWasExpectedAndFound) {
  const auto number = [](NumberRule rule) { return [rule](Section& section) { section.number("k", rule); }; };
  const auto integer = [](IntegerRule rule) {
    return [rule](Section& section) { section.integer("k", rule); };
  };
  const struct {
    const char* yaml;
    std::function<void(Section&)> read;
    const char* message;
  } cases[] = {
      {"k: abc", number({}), "exp.yaml:1:4: expected a number for 'k', not 'abc'"},
      {"k: \"5\"", number({}), "exp.yaml:1:4: expected a number for 'k', not the text '5'"},
      {"k: [1]", number({}), "exp.yaml:1:4: expected a number for 'k', not a list"},
      {"k: .nan", number({}), "exp.yaml:1:4: expected a number for 'k', not .nan"},
      {"k: .inf", number({}), "exp.yaml:1:4: expected a number for 'k', not .inf"},
      {"k:", number({}), "exp.yaml:1:1: expected a number for 'k', not nothing"},
      {"k: -1", number({.min = 0}), "exp.yaml:1:4: expected a number of at least 0 for 'k', not -1"},
      {"k: 0", number({.min = 0, .min_excluded = true}),
       "exp.yaml:1:4: expected a number above 0 for 'k', not 0"},
      {"k: 2", number({.min = 0, .max = 1}), "exp.yaml:1:4: expected a number from 0 to 1 for 'k', not 2"},
      {"k: 1", number({.min = 0, .max = 1, .max_excluded = true}),
       "exp.yaml:1:4: expected a number of at least 0 and below 1 for 'k', not 1"},
      {"k: 1.5", integer({}), "exp.yaml:1:4: expected an integer for 'k', not 1.5"},
      {"k: 0", integer({.min = 1}), "exp.yaml:1:4: expected an integer of at least 1 for 'k', not 0"},
      {"k: 9", integer({.min = 1, .max = 8}), "exp.yaml:1:4: expected an integer from 1 to 8 for 'k', not 9"},
      {"k: yes", [](Section& section) { section.flag("k", false); },
       "exp.yaml:1:4: expected true or false for 'k', not 'yes'"},
      {"k: {}", [](Section& section) { section.text("k"); },
       "exp.yaml:1:4: expected a text for 'k', not a map"},
      {"k: [a, [b]]", [](Section& section) { section.texts("k"); },
       "exp.yaml:1:8: expected a text in 'k', not a list"},
      {"k: sdg",
       [](Section& section) {
         section.choice("k", {"sgd", "adam"});
       },
       "exp.yaml:1:4: expected sgd or adam for 'k', not 'sdg' (did you mean 'sgd'?)"},
      {"[1]", number({.fallback = 1}), "exp.yaml:1:1: expected a map for train, not a list"},
      {"{}", number({}), "exp.yaml:1:1: 'k' is missing in train"},
      {"{k: 1, kk: 2}", number({}), "exp.yaml:1:8: unknown key 'kk' in train (did you mean 'k'?)"},
      {"{k: 1, other: 2}", number({}), "exp.yaml:1:8: unknown key 'other' in train; known are k"},
  };
  for (const auto& [yaml, read, message] : cases) {
    EXPECT_EQ(mistake(yaml, read), message) << yaml;
  }
}

TEST(Section, TellsAMistypedRequiredKeyAsTheMistypedKey) {
  EXPECT_EQ(mistake("{lerning_rate: 1}", [](Section& section) { section.number("learning_rate"); }),
            "exp.yaml:1:2: unknown key 'lerning_rate' in train (did you mean 'learning_rate'?)");
}

TEST(Section, KeepsTheFirstMistakeAndGoesOnWithFallbacks) {
  EXPECT_EQ(mistake("{a: x, b: y}",
                    [](Section& section) {
                      EXPECT_EQ(section.number("a", {.fallback = 2}), 2);
                      EXPECT_EQ(section.integer("b", {.fallback = 3}), 3);
                      section.mistake({}, "later");
                    }),
            "exp.yaml:1:5: expected a number for 'a', not 'x'");
}

TEST(Section, TakesNullForAnEmptyMap) {
  EXPECT_EQ(mistake("", [](Section& section) { section.number("k", {.fallback = 1}); }), "");
}

TEST(Typed, IsANameOrAMapWithAType) {
  const auto name = read_typed(parse("gp"), "the sampler");
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name->type, "gp");
  EXPECT_TRUE(name->options.is_map());
  const auto map = read_typed(parse("{eta: 3, type: asha}"), "the scheduler");
  ASSERT_TRUE(map.ok());
  EXPECT_EQ(map->type, "asha");
  EXPECT_EQ(map->place.str(), "exp.yaml:1:16");
  EXPECT_EQ(map->options.entries().size(), 1u);
  EXPECT_NE(map->options.find("eta"), nullptr);
  EXPECT_EQ(read_typed(parse("{eta: 3}"), "the scheduler").error().message,
            "exp.yaml:1:1: 'type' is missing in the scheduler");
  EXPECT_EQ(read_typed(parse("[asha]"), "the scheduler").error().message,
            "exp.yaml:1:1: expected a name or a map with 'type' for the scheduler, not a list");
}

}  // namespace
}  // namespace regatta
