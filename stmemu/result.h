// SPDX-License-Identifier: Apache-2.0
//
// Result<T>: a value, or a sentence that says what went wrong and where (path or descriptor,
// errno's text). For operating errors; programmer errors are CHECKs (check.h).
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace auxin {

struct Error {
  std::string message;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}
  explicit operator bool() const { return content_.index() == 0; }
  T& value() { return std::get<0>(content_); }
  const T& value() const { return std::get<0>(content_); }
  T& operator*() { return value(); }
  T* operator->() { return &value(); }
  const std::string& error() const { return std::get<1>(content_).message; }

 private:
  std::variant<T, Error> content_;
};

}  // namespace auxin
