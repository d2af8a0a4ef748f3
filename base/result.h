// Result<T>: a value, or an error whose message a user can act on.
// Functions that can fail in use return it; bugs hit CHECK instead.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace regatta {

struct Error {
  // Decides the exit code and whether another attempt makes sense.
  enum class Kind {
    user_mistake,  // wrong file, key, argument: exit code 2, nothing was started
    failure,       // the work itself failed
    timeout,       // a peer or a resource did not answer within its limit
    interrupted,   // asked to stop; state is saved
  };

  Kind kind = Kind::failure;
  std::string message;
};

inline Error user_mistake(std::string message) { return {Error::Kind::user_mistake, std::move(message)}; }
inline Error failure(std::string message) { return {Error::Kind::failure, std::move(message)}; }
inline Error timed_out(std::string message) { return {Error::Kind::timeout, std::move(message)}; }

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // Calling value() on an error is a bug of the caller.
  T& value() & {
    CHECK(ok(), error().message);
    return std::get<0>(state_);
  }
  const T& value() const& {
    CHECK(ok(), error().message);
    return std::get<0>(state_);
  }
  T&& value() && {
    CHECK(ok(), error().message);
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace regatta

#define REGATTA_CONCAT_INNER(a, b) a##b
#define REGATTA_CONCAT(a, b) REGATTA_CONCAT_INNER(a, b)

// Leaves the enclosing function with the error of `expression`, if it has one.
#define RETURN_IF_ERROR(expression)                   \
  do {                                                \
    if (auto status_ = (expression); !status_.ok()) { \
      return status_.error();                         \
    }                                                 \
  } while (false)

// ASSIGN_OR_RETURN(auto file, open(path)): the value, or leave with the error.
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_AS(REGATTA_CONCAT(result_at_, __LINE__), declaration, expression)
#define ASSIGN_OR_RETURN_AS(result, declaration, expression) \
  auto result = (expression);                                \
  if (!result.ok()) {                                        \
    return result.error();                                   \
  }                                                          \
  declaration = std::move(result).value()
