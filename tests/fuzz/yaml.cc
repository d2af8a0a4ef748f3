// YAML: a mistake has its place, and a tree that was written reads back equal.
#include "experiment/node.h"
#include "experiment/value.h"
#include "tests/fuzz/properties.h"
#include "tests/fuzz/target.h"

namespace regatta {
namespace {

constexpr const char* kFile = "fuzz.yaml";

bool same_scalar(const Node& a, const Node& b) {
  return a.text() == b.text() &&
         value_of_scalar(a.text(), a.quoted()).index() == value_of_scalar(b.text(), b.quoted()).index();
}

bool same_tree(const Node& a, const Node& b) {
  if (a.kind() != b.kind() || a.items().size() != b.items().size() ||
      a.entries().size() != b.entries().size() || (a.is_scalar() && !same_scalar(a, b))) {
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

void check_inner_places(const Node& node) {
  for (const Node& item : node.items()) {
    CHECK(item.place().line >= 1 && item.place().column >= 1, item.place().str());
    check_inner_places(item);
  }
  for (const Node::Entry& entry : node.entries()) {
    CHECK(entry.key_place.line >= 1 && entry.key_place.column >= 1, entry.key);
    CHECK(entry.value.place().line >= 1 && entry.value.place().column >= 1, entry.key);
    CHECK(node.find(entry.key) == &entry.value, entry.key);
    check_inner_places(entry.value);
  }
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  return {
      "",
      "name: a\nseed: 1\nlist:\n  - 1\n  - {k: [a, 'b c', \"d\\n\\x01\"], e: ~}\n  -\n    - x\n    - y: "
      "0x1f\n",
      "a: &x {k: [1, .5, -2e3, .inf, .nan, true, null]}\nb: *x\nc: [*x, *x]\n",
      "---\ntext: |\n  one\n  two\nfolded: >-\n  one\n  two\nquoted: 'it''s'\nempty:\n...\n",
      "? key\n: value\n!!str 5: !!str 6\n\"\": ''\n'5': 5\n\"true\": true\n",
      "# comment\r\na: b # more\r\nc:\r\n- d\r\n- e\r\n",
      "\xEF\xBB\xBFgr\xC3\xB6\xC3\x9F"
      "e: \"\xF0\x9F\x9A\xA3 \\u00e9 \\U0001F6A3\"\n",
      "\"a\nb\": {\"c\": \"d\", 'e': [],}\nf: {}\n",
      "- - - a\n    - b\n  - []\n- {a: {b: {c: d}}}\n- \"x: y\"\n- '- z'\n- '#'\n",
      std::string("\xFF\xFE"
                  "a\0:\0 \0b\0\n\0",
                  12),
      std::string(400, '[') + std::string(400, ']'),
      std::string(100'000, '['),
      std::string(100'000, '{'),
  };
}

}  // namespace regatta

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace regatta;
  const std::string_view text = fuzz::text_of(data, size);
  const auto tree = parse_yaml(text, kFile);
  if (!tree.ok()) {
    fuzz::check_place(tree.error(), kFile, text);
    return 0;
  }
  check_inner_places(*tree);
  const std::string written = to_yaml(*tree);
  const auto again = parse_yaml(written, "written.yaml");
  CHECK(again.ok(), again.error().message);
  CHECK(same_tree(*tree, *again), written);
  CHECK(to_yaml(*again) == written, written);
  return 0;
}
