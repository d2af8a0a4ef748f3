// The tree: places, what YAML is refused, overrides, and text that reads back to the same tree.
#include "experiment/node.h"

#include <gmock/gmock.h>

#include "base/random.h"
#include "experiment/value.h"

namespace regatta {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

Node parse(std::string_view text) {
  auto node = parse_yaml(text, "exp.yaml");
  EXPECT_TRUE(node.ok()) << node.error().message;
  return node.ok() ? *node : Node::null({});
}

std::string mistake(std::string_view text) {
  const auto node = parse_yaml(text, "exp.yaml");
  return node.ok() ? "no mistake" : node.error().message;
}

bool same_tree(const Node& a, const Node& b) {
  if (a.kind() != b.kind() || a.items().size() != b.items().size() ||
      a.entries().size() != b.entries().size()) {
    return false;
  }
  if (a.is_scalar() && (a.text() != b.text() ||
                        value_of_scalar(a.text(), a.quoted()) != value_of_scalar(b.text(), b.quoted()))) {
    return false;
  }
  for (std::size_t i = 0; i < a.items().size(); ++i) {
    if (!same_tree(a.items()[i], b.items()[i])) {
      return false;
    }
  }
  for (std::size_t i = 0; i < a.entries().size(); ++i) {
    if (a.entries()[i].key != b.entries()[i].key || !same_tree(a.entries()[i].value, b.entries()[i].value)) {
      return false;
    }
  }
  return true;
}

TEST(Node, KnowsThePlaceOfEveryKeyAndValue) {
  const Node root = parse("train:\n  lr: 0.1\n  layers: [a, {conv: 3}]\nempty:\n");
  EXPECT_EQ(root.place().str(), "exp.yaml:1:1");
  const Node& train = *root.find("train");
  EXPECT_EQ(train.place().str(), "exp.yaml:2:3");
  EXPECT_EQ(train.entries()[0].key_place.str(), "exp.yaml:2:3");
  EXPECT_EQ(train.entries()[0].value.place().str(), "exp.yaml:2:7");
  const Node& layers = *train.find("layers");
  EXPECT_EQ(layers.place().str(), "exp.yaml:3:11");
  EXPECT_EQ(layers.items()[1].find("conv")->place().str(), "exp.yaml:3:22");
  EXPECT_EQ(root.find("empty")->place().line, 4);
  EXPECT_TRUE(root.find("empty")->is_null());
  EXPECT_EQ(root.find("absent"), nullptr);
}

TEST(Node, TellsQuotedFromPlain) {
  const Node root = parse("[5, \"5\", '5', !!str 5, \"null\", ~]");
  const std::vector<bool> quoted = {false, true, true, true, true};
  for (std::size_t i = 0; i < quoted.size(); ++i) {
    EXPECT_EQ(root.items()[i].quoted(), quoted[i]) << i;
  }
  EXPECT_TRUE(root.items()[5].is_null());
}

TEST(Node, FollowsAliases) {
  const Node root = parse("a: &x {k: [1, 2]}\nb: *x\n");
  EXPECT_TRUE(same_tree(*root.find("a"), *root.find("b")));
  EXPECT_EQ(root.find("b")->find("k")->place().line, 1);
}

TEST(Node, DescribesItsKind) {
  const Node root = parse("[1.5, text, \"1\", true, [], {}, ~]");
  const std::vector<std::string_view> words = {"a number", "a text", "a text", "true or false",
                                               "a list",   "a map",  "nothing"};
  for (std::size_t i = 0; i < words.size(); ++i) {
    EXPECT_EQ(root.items()[i].describe(), words[i]) << i;
  }
}

TEST(Yaml, RefusesWhatItCannotMeanWithThePlace) {
  const struct {
    const char* text;
    const char* beginning;
  } cases[] = {
      {"a: 1\nb: 2\na: 3\n", "exp.yaml:3:1: the key 'a' stands twice; it was first given in line 1"},
      {"a: {b: 1, b: 2}\n", "exp.yaml:1:11: the key 'b' stands twice"},
      {"a:\n  - {b: 1}\n  - {'b': 1, b: 2}\n", "exp.yaml:3:14: the key 'b' stands twice"},
      {"a: 1\n---\nb: 2\n", "exp.yaml:2:1: expected nothing after the end of the YAML document"},
      {"- 1\nb: 1\n", "exp.yaml:2:1: expected nothing after the end of the YAML document"},
      {"a:\n\tb: 1\n", "exp.yaml:2:1: expected spaces, not a tab"},
      {"a:\n  b: 1\n \tc: 2\n", "exp.yaml:3:2: expected spaces, not a tab"},
      {"a: [1, 2\nb: 3\n", "exp.yaml:2:2: expected ',' or ']'"},
      {"a: [1, 2", "exp.yaml:1:4: expected ',' or ']'"},
      {"a: {b: 1\n",
       "exp.yaml:2:1: expected ',' or '}' to go on with or end the map that '{' began in line 1"},
      {"a: \"b\nc: 1\n", "exp.yaml:1:4: the closing quote of this text is missing"},
      {"a: 'it''s\n", "exp.yaml:1:4: the closing quote of this text is missing"},
      {"a: 1\n}\n", "exp.yaml:2:1: a closing bracket stands here without its opening one"},
      {"a: b: c\n", "exp.yaml:1:5: a ':' cannot stand here"},
      {"a:\n  b: 1\n c: 2\n", "exp.yaml:3:2: expected a key in line with the keys above"},
      {"a: @b\n", "exp.yaml:1:4: a text cannot begin with this character"},
      {"a: *b\n", "exp.yaml:1:4: this alias names no anchor"},
      {"a: &b [*b]\n", "exp.yaml:1:8: an alias cannot stand inside the value that it names"},
      {"a: {x: 1}\nb:\n  <<: {y: 1}\n", "exp.yaml:3:3: the merge key '<<'"},
      {"a: !!int 5\n", "exp.yaml:1:4: expected a value without the tag"},
      {"{[1]: 2}\n", "exp.yaml:1:2: expected a key, not a list"},
      {"~: 2\n", "exp.yaml:1:1: expected a key, not nothing"},
  };
  for (const auto& [text, beginning] : cases) {
    EXPECT_THAT(mistake(text), StartsWith(beginning)) << text;
  }
}

TEST(Yaml, TakesAnEmptyTextForNothing) {
  EXPECT_TRUE(parse("").is_null());
  EXPECT_TRUE(parse("# only a comment\n").is_null());
}

TEST(Yaml, RefusesAliasesThatGrowBeyondMeasure) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) {
      bomb += last + ", ";
    }
    bomb += "x]\n";
  }
  EXPECT_THAT(mistake(bomb), HasSubstr("expected at most 1,000,000 values"));
}

TEST(Yaml, RefusesDepthThatWouldExhaustTheStack) {
  EXPECT_NE(mistake("a: " + std::string(100'000, '[')), "no mistake");
  std::string stairs = "a0: &a0 [x]\n";
  for (int i = 1; i < 600; ++i) {
    stairs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
  }
  EXPECT_THAT(mistake(stairs), HasSubstr("expected at most 500 levels"));
}

TEST(Yaml, ReadsBackToAnEqualTree) {
  const Node root = parse(R"(
name: x
"odd: key": [[], {}, ~, [[1, 2], [3]], {a: {b: [c, {d: e}]}}]
texts: ["5", 'a: b', "line\nbreak", "", "true", '#', "- x", $lr, "${lr}"]
block: |
  two
  lines
numbers: [1, 1.0, 1e-4, .inf, 0x10]
deep:
  - - - x
    - y
  - k: v
    l: [w]
)");
  const std::string yaml = to_yaml(root);
  EXPECT_TRUE(same_tree(root, parse(yaml))) << yaml;
}

TEST(Yaml, LongKeysReadBack) {
  for (const std::size_t size : {900, 1000, 1001, 1023, 1024, 1025, 5000}) {
    const std::string key(size, 'k');
    const Node root = parse("- {? " + key + " : {? " + key + " : 1, b: 2}}\n");
    const std::string yaml = to_yaml(root);
    EXPECT_TRUE(same_tree(root, parse(yaml))) << yaml;
  }
}

// Trees grown at random, of every kind of node and of texts made of the characters that YAML gives a meaning.
class Grower {
 public:
  explicit Grower(std::uint64_t seed) : random_(seed, "trees") {}

  Node grow(int depth) {
    switch (draw(depth > 0 ? 5 : 3)) {
      case 0:
        return Node::null({});
      case 1:
        return to_node(static_cast<double>(draw(2000)) / 8 - 100, {});
      case 2:
        return Node::scalar({}, text(), true);
      case 3: {
        std::vector<Node> items;
        for (std::uint64_t n = draw(4); n > 0; --n) {
          items.push_back(grow(depth - 1));
        }
        return Node::sequence({}, std::move(items));
      }
      default: {
        std::vector<Node::Entry> entries;
        for (std::uint64_t n = draw(4); n > 0; --n) {
          entries.push_back({text() + std::to_string(n), {}, grow(depth - 1)});
        }
        return Node::map({}, std::move(entries));
      }
    }
  }

 private:
  std::uint64_t draw(std::uint64_t bound) { return random_.below(index_++, bound); }

  std::string text() {
    static constexpr std::string_view kCharacters = "ab 1-.:#,[]{}&*!|>'\"%@`?\\\n\t$=~<";
    std::string text;
    for (std::uint64_t n = draw(8); n > 0; --n) {
      text += kCharacters[draw(kCharacters.size())];
    }
    return text;
  }

  Random random_;
  std::uint64_t index_ = 0;
};

TEST(Yaml, ReadsAnyTreeBackToAnEqualTree) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const Node tree = Grower(seed).grow(4);
    const std::string yaml = to_yaml(tree);
    const auto again = parse_yaml(yaml, "again.yaml");
    ASSERT_TRUE(again.ok()) << "seed " << seed << ": " << again.error().message << "\n" << yaml;
    ASSERT_TRUE(same_tree(tree, *again)) << "seed " << seed << "\n" << yaml;
  }
}

std::string after(std::string_view yaml, std::initializer_list<const char*> assignments) {
  Node root = parse(yaml);
  for (const char* assignment : assignments) {
    if (const Status status = apply_override(root, assignment); !status.ok()) {
      return status.error().message;
    }
  }
  return to_yaml(root);
}

TEST(Override, ReplacesAddsAndMakesMapsOnTheWay) {
  EXPECT_EQ(after("a: {b: 1}\n", {"a.b=2"}), "a:\n  b: 2\n");
  EXPECT_EQ(after("a: {b: 1}\n", {"a.c=x y"}), "a:\n  b: 1\n  c: \"x y\"\n");
  EXPECT_EQ(after("a:\n", {"a.b.c=[1, {d: 2}]"}), "a:\n  b:\n    c:\n      - 1\n      - d: 2\n");
  EXPECT_EQ(after("", {"a=1", "b="}), "a: 1\nb: null\n");
  EXPECT_EQ(after("a: 1\n", {"a=x=y"}), "a: \"x=y\"\n");
}

TEST(Override, AddressesListItemsByNumber) {
  EXPECT_EQ(after("layers: [{dense: 1}, relu]\n", {"layers.0.dense=8", "layers.1=tanh"}),
            "layers:\n  - dense: 8\n  - tanh\n");
}

TEST(Override, NamesItselfAsThePlaceOfItsValue) {
  Node root = parse("a: {b: 1}\n");
  ASSERT_TRUE(apply_override(root, "a.b={c: [1]}").ok());
  const Node& value = *root.find("a")->find("b");
  EXPECT_EQ(value.place().str(), "--set a.b");
  EXPECT_EQ(value.find("c")->items()[0].place().str(), "--set a.b");
  EXPECT_EQ(value.entries()[0].key_place.str(), "--set a.b");
}

TEST(Override, RefusesPathsThatLeadNowhere) {
  const char* yaml = "a: {b: 1, l: [x, y]}\n";
  EXPECT_EQ(after(yaml, {"a.b.c=1"}), "--set a.b.c: 'a.b' is a number, not a map, and has no 'c'");
  EXPECT_EQ(after(yaml, {"a.l.2=1"}),
            "--set a.l.2: 'a.l' is a list of 2 items, counted from 0; it has no '2'");
  EXPECT_EQ(after(yaml, {"a.l.-1=1"}),
            "--set a.l.-1: 'a.l' is a list of 2 items, counted from 0; it has no '-1'");
  EXPECT_THAT(after(yaml, {"a..b=1"}), StartsWith("--set a..b: expected keys with a dot between them"));
  EXPECT_THAT(after(yaml, {"a.=1"}), StartsWith("--set a.: expected keys with a dot between them"));
  EXPECT_THAT(after(yaml, {"a.b"}), StartsWith("--set a.b: expected KEY=VALUE"));
  EXPECT_THAT(after(yaml, {"=1"}), StartsWith("--set =1: expected KEY=VALUE"));
  EXPECT_THAT(after(yaml, {"a.b=[1"}), StartsWith("--set a.b:1:1: expected ',' or ']'"));
}

}  // namespace
}  // namespace regatta
