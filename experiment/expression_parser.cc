// Recursive descent over the grammar in expression.h, one function a rule.

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "experiment/expression_term.h"

namespace regatta {
namespace {

// Bounds the depth of the recursion, in the parser and in the tree.
constexpr std::size_t kMaxTokens = 500;

struct Token {
  enum class Kind { literal, word, symbol, end };
  Kind kind;
  std::string text;  // as written
  Value value;       // of a literal
};

bool is_word_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_word_part(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

// The end of the number at `begin`: digits, letters and dots, and a sign after an exponent's e.
std::size_t number_end(std::string_view text, std::size_t begin) {
  std::size_t end = begin;
  while (end < text.size()) {
    const bool signs_exponent = (text[end] == '-' || text[end] == '+') && end > begin &&
                                (text[end - 1] == 'e' || text[end - 1] == 'E') && end + 1 < text.size() &&
                                is_digit(text[end + 1]);
    if (!is_word_part(text[end]) && text[end] != '.' && !signs_exponent) {
      break;
    }
    ++end;
  }
  return end;
}

Result<std::vector<Token>> tokenize(std::string_view text, const Place& place) {
  std::vector<Token> tokens;
  std::size_t at = 0;
  while (at < text.size()) {
    const char c = text[at];
    const auto take_until = [&](std::size_t end) {
      std::string taken(text.substr(at, end - at));
      at = end;
      return taken;
    };
    if (tokens.size() > kMaxTokens) {
      return mistake_at(place, fmt::format("expected at most {} words in an expression", kMaxTokens));
    }
    if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      ++at;
    } else if (is_digit(c) || (c == '.' && at + 1 < text.size() && is_digit(text[at + 1]))) {
      const std::string number = take_until(number_end(text, at));
      Value value = value_of_scalar(number, false);
      if (!as_number(value)) {
        return mistake_at(place, fmt::format("expected a number, not '{}'", number));
      }
      tokens.push_back({Token::Kind::literal, number, std::move(value)});
    } else if (c == '"' || c == '\'') {
      const std::size_t close = text.find(c, at + 1);
      if (close == std::string_view::npos) {
        return mistake_at(place, fmt::format("expected a closing {} after {}", c, text.substr(at)));
      }
      const std::string quoted = take_until(close + 1);
      tokens.push_back({Token::Kind::literal, quoted, quoted.substr(1, quoted.size() - 2)});
    } else if (is_word_start(c)) {
      std::size_t end = at;
      while (end < text.size() && is_word_part(text[end])) {
        ++end;
      }
      tokens.push_back({Token::Kind::word, take_until(end), nullptr});
    } else {
      const std::string_view two = text.substr(at, 2);
      const bool is_pair = two == "==" || two == "!=" || two == "<=" || two == ">=";
      if (!is_pair && std::string_view("<>+-*/()[],").find(c) == std::string_view::npos) {
        return mistake_at(place, fmt::format("unexpected '{}' in the expression{}", c,
                                             c == '=' ? " (did you mean '=='?)" : ""));
      }
      tokens.push_back({Token::Kind::symbol, take_until(at + (is_pair ? 2 : 1)), nullptr});
    }
  }
  tokens.push_back({Token::Kind::end, "the end", nullptr});
  return tokens;
}

}  // namespace

class Expression::Parser {
 public:
  Parser(std::vector<Token> tokens, const std::vector<std::string>& parameters, const Place& place,
         std::string_view scope)
      : tokens_(std::move(tokens)), parameters_(parameters), place_(place), scope_(scope) {}

  Result<Term> parse() {
    ASSIGN_OR_RETURN(Term term, parse_or());
    if (next().kind != Token::Kind::end) {
      return mistake(fmt::format("expected 'and', 'or' or the end, not '{}'", next().text));
    }
    RETURN_IF_ERROR(check_truth(term));
    return term;
  }

 private:
  using Kind = Term::Kind;
  using Rule = Result<Term> (Parser::*)();
  struct Operator {
    std::string_view text;
    Kind kind;
  };

  const Token& next() const { return tokens_[at_]; }
  bool accept(std::string_view text) {
    const bool is_next =
        (next().kind == Token::Kind::symbol || next().kind == Token::Kind::word) && next().text == text;
    at_ += is_next ? 1 : 0;
    return is_next;
  }
  Error mistake(std::string_view message) const { return mistake_at(place_, message); }

  Result<Term> parse_or() { return parse_truths(&Parser::parse_and, {"or", Kind::either}); }
  Result<Term> parse_and() { return parse_truths(&Parser::parse_not, {"and", Kind::both}); }
  Result<Term> parse_sum() {
    return parse_arithmetic(&Parser::parse_product, {{"+", Kind::add}, {"-", Kind::subtract}});
  }
  Result<Term> parse_product() {
    return parse_arithmetic(&Parser::parse_unary, {{"*", Kind::multiply}, {"/", Kind::divide}});
  }

  // operand {operator operand}, grouped from the left.
  Result<Term> parse_truths(Rule operand, Operator op) {
    ASSIGN_OR_RETURN(Term term, (this->*operand)());
    while (accept(op.text)) {
      ASSIGN_OR_RETURN(Term right, (this->*operand)());
      RETURN_IF_ERROR(check_truth(term));
      RETURN_IF_ERROR(check_truth(right));
      term = combine(op.kind, std::move(term), std::move(right));
    }
    return term;
  }

  Result<Term> parse_arithmetic(Rule operand, const std::vector<Operator>& operators) {
    ASSIGN_OR_RETURN(Term term, (this->*operand)());
    while (true) {
      const auto op = std::find_if(operators.begin(), operators.end(),
                                   [&](const Operator& candidate) { return accept(candidate.text); });
      if (op == operators.end()) {
        return term;
      }
      ASSIGN_OR_RETURN(Term right, (this->*operand)());
      RETURN_IF_ERROR(check_number(term));
      RETURN_IF_ERROR(check_number(right));
      term = combine(op->kind, std::move(term), std::move(right));
    }
  }

  Result<Term> parse_not() {
    if (!accept("not")) {
      return parse_comparison();
    }
    ASSIGN_OR_RETURN(Term operand, parse_not());
    RETURN_IF_ERROR(check_truth(operand));
    return Term{.kind = Kind::inverse, .operands = {std::move(operand)}};
  }

  Result<Term> parse_comparison() {
    static constexpr Operator kComparisons[] = {{"==", Kind::equal}, {"!=", Kind::not_equal},
                                                {"<", Kind::less},   {"<=", Kind::at_most},
                                                {">", Kind::more},   {">=", Kind::at_least}};
    ASSIGN_OR_RETURN(Term term, parse_sum());
    if (accept("in")) {
      term.operands = {Term(term)};
      term.kind = Kind::among;
      RETURN_IF_ERROR(parse_list(term.operands));
    } else {
      const auto* op = std::find_if(std::begin(kComparisons), std::end(kComparisons),
                                    [&](const Operator& candidate) { return accept(candidate.text); });
      if (op == std::end(kComparisons)) {
        return term;
      }
      ASSIGN_OR_RETURN(Term right, parse_sum());
      term = combine(op->kind, std::move(term), std::move(right));
    }
    if (!term.mentions_parameter()) {
      return mistake(fmt::format("this comparison uses no parameter {}{}", scope_, hint(term.operands)));
    }
    return term;
  }

  Status parse_list(std::vector<Term>& operands) {
    if (!accept("[")) {
      return mistake(fmt::format("expected a list such as [a, b] after 'in', not '{}'", next().text));
    }
    do {
      ASSIGN_OR_RETURN(Term item, parse_sum());
      operands.push_back(std::move(item));
    } while (accept(","));
    return accept("]") ? Status() : mistake(fmt::format("expected ',' or ']', not '{}'", next().text));
  }

  Result<Term> parse_unary() {
    if (!accept("-")) {
      return parse_atom();
    }
    ASSIGN_OR_RETURN(Term operand, parse_unary());
    RETURN_IF_ERROR(check_number(operand));
    return Term{.kind = Kind::negate, .operands = {std::move(operand)}};
  }

  Result<Term> parse_atom() {
    if (accept("(")) {
      ASSIGN_OR_RETURN(Term term, parse_or());
      return accept(")") ? Result<Term>(std::move(term))
                         : mistake(fmt::format("expected ')', not '{}'", next().text));
    }
    const Token token = next();
    const bool is_keyword =
        token.text == "and" || token.text == "or" || token.text == "not" || token.text == "in";
    if (token.kind == Token::Kind::literal) {
      ++at_;
      return Term{.kind = Kind::literal, .text = token.text, .literal = token.value};
    }
    if (token.kind != Token::Kind::word || is_keyword) {
      return mistake(fmt::format("expected a value, not '{}'", token.text));
    }
    ++at_;
    const bool is_parameter =
        std::find(parameters_.begin(), parameters_.end(), token.text) != parameters_.end();
    return Term{.kind = is_parameter ? Kind::parameter : Kind::literal,
                .text = token.text,
                .literal = value_of_scalar(token.text, false)};
  }

  static Term combine(Kind kind, Term left, Term right) {
    Term term{.kind = kind};
    term.operands.push_back(std::move(left));
    term.operands.push_back(std::move(right));
    return term;
  }

  Status check_truth(const Term& term) const {
    if (term.kind != Kind::literal) {
      return {};
    }
    return mistake(fmt::format("'{}' is not a parameter {}{}", term.text, scope_, hint({term})));
  }

  Status check_number(const Term& term) const {
    if (term.kind != Kind::literal || as_number(term.literal)) {
      return {};
    }
    return mistake(
        fmt::format("'{}' is neither a number nor a parameter {}{}; a text with '-' in it needs quotes",
                    term.text, scope_, hint({term})));
  }

  // The parameter that the first mistyped word may have meant.
  std::string hint(const std::vector<Term>& terms) const {
    for (const Term& term : terms) {
      const std::string words = did_you_mean(term.text, parameters_);
      if (term.kind == Kind::literal && std::holds_alternative<std::string>(term.literal) && !words.empty()) {
        return words;
      }
    }
    return "";
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  const std::vector<std::string>& parameters_;
  const Place& place_;
  std::string_view scope_;
};

namespace {

using Term = Expression::Term;

// Each thing once, in the order of the text.
void collect(const Term& term, std::vector<std::string>& names,
             std::vector<Expression::Equality>& equalities) {
  using Kind = Term::Kind;
  if (term.kind == Kind::parameter && std::find(names.begin(), names.end(), term.text) == names.end()) {
    names.push_back(term.text);
  }
  const bool is_equality =
      term.kind == Kind::equal || term.kind == Kind::not_equal || term.kind == Kind::among;
  if (is_equality && term.operands[0].kind == Kind::parameter) {
    for (const Term& operand : term.operands) {
      if (operand.kind == Kind::literal) {
        equalities.push_back({term.operands[0].text, operand.literal});
      }
    }
  }
  for (const Term& operand : term.operands) {
    collect(operand, names, equalities);
  }
}

}  // namespace

Result<Expression> Expression::parse(std::string_view text, const std::vector<std::string>& parameters,
                                     const Place& place, std::string_view scope) {
  ASSIGN_OR_RETURN(std::vector<Token> tokens, tokenize(text, place));
  ASSIGN_OR_RETURN(Term term, Parser(std::move(tokens), parameters, place, scope).parse());
  Expression expression;
  expression.text_ = std::string(text);
  collect(term, expression.names_, expression.equalities_);
  if (expression.names_.empty()) {
    return mistake_at(place, fmt::format("expected an expression with a parameter {} in it", scope));
  }
  expression.root_ = std::make_shared<const Term>(std::move(term));
  return expression;
}

}  // namespace regatta
