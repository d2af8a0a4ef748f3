// Most changes keep most of a good input: noise gets no further than a parser's first branch.
#include "tests/fuzz/mutation.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "base/check.h"

namespace regatta::fuzz {
namespace {

// Where types, signs and ranges end.
constexpr auto kOddNumbers = std::to_array<std::string_view>(
    {"0", "-0", "-1", "0.5", ".5e-3", "255", "256", "2147483647", "2147483648", "9223372036854775807",
     "-9223372036854775808", "18446744073709551615", "18446744073709551616", "1e300", "1e999", "1e-999"});

bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Mutation {
 public:
  Mutation(const std::vector<std::string>& seeds, const Random& random) : seeds_(seeds), random_(random) {}

  std::string make() {
    input_ = some_seed();
    for (std::size_t changes = 1 + below(4); changes > 0; --changes) {
      change();
      input_.resize(std::min(input_.size(), kMaxMutatedBytes));
    }
    return input_;
  }

 private:
  struct Range {
    std::size_t begin = 0;
    std::size_t size = 0;
  };

  std::size_t below(std::size_t bound) { return random_.below(draws_++, bound); }
  const std::string& some_seed() { return seeds_[below(seeds_.size())]; }
  char some_byte() { return static_cast<char>(below(256)); }

  // Mostly short, at times up to everything.
  Range some_range(std::string_view text) {
    const std::size_t begin = below(text.size() + 1);
    const std::size_t rest = text.size() - begin;
    return {begin, below(std::min<std::size_t>(rest, below(4) == 0 ? rest : 8) + 1)};
  }

  void change() {
    const std::size_t at = below(input_.size() + 1);
    switch (below(8)) {
      case 0:
        if (at < input_.size()) {
          input_[at] = static_cast<char>(input_[at] ^ (1 << below(8)));
        }
        return;
      case 1:
        if (at < input_.size()) {
          input_[at] = some_byte();
        }
        return;
      case 2:
        input_.insert(input_.begin() + static_cast<std::ptrdiff_t>(at), some_byte());
        return;
      case 3: {
        const Range range = some_range(input_);
        input_.erase(range.begin, range.size);
        return;
      }
      case 4: {
        const Range range = some_range(input_);
        input_.insert(at, input_.substr(range.begin, range.size));
        return;
      }
      case 5: {
        const std::string& other = some_seed();
        const Range range = some_range(other);
        input_.insert(at, other, range.begin, range.size);
        return;
      }
      case 6: {
        const std::string& other = some_seed();
        input_.replace(at, std::string::npos, other, below(other.size() + 1));
        return;
      }
      default:
        change_number(at);
    }
  }

  // The first number behind `at` becomes an odd one.
  void change_number(std::size_t at) {
    const auto begin = std::find_if(input_.begin() + static_cast<std::ptrdiff_t>(at), input_.end(), is_digit);
    const auto end = std::find_if_not(begin, input_.end(), is_digit);
    input_.replace(begin, end, kOddNumbers[below(kOddNumbers.size())]);
  }

  const std::vector<std::string>& seeds_;
  const Random& random_;
  std::uint64_t draws_ = 0;
  std::string input_;
};

}  // namespace

std::string mutated(const std::vector<std::string>& seeds, const Random& random) {
  CHECK(!seeds.empty());
  return Mutation(seeds, random).make();
}

}  // namespace regatta::fuzz
