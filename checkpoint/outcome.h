// SPDX-License-Identifier: Apache-2.0
//
// How an operation of this room ended: a status of the public header and a sentence about it.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "auxin/checkpoint.h"

namespace auxin::checkpoint {

using Status = auxin_checkpoint_status;

struct [[nodiscard]] Outcome {
  Status status = AUXIN_CHECKPOINT_OK;
  std::string sentence;

  explicit operator bool() const { return status == AUXIN_CHECKPOINT_OK; }
  static Outcome ok() { return {}; }
};

inline Outcome failure(Status status, std::string sentence) {
  return {status, std::move(sentence)};
}

// A value, or how it could not be had.
template <typename T>
class [[nodiscard]] Expected {
 public:
  Expected(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Expected(Outcome outcome) : content_(std::in_place_index<1>, std::move(outcome)) {}
  explicit operator bool() const { return content_.index() == 0; }
  T& operator*() { return std::get<0>(content_); }
  const T& operator*() const { return std::get<0>(content_); }
  T* operator->() { return &std::get<0>(content_); }
  const T* operator->() const { return &std::get<0>(content_); }
  const Outcome& outcome() const { return std::get<1>(content_); }
  Status status() const {
    return content_.index() == 0 ? AUXIN_CHECKPOINT_OK : std::get<1>(content_).status;
  }

 private:
  std::variant<T, Outcome> content_;
};

}  // namespace auxin::checkpoint
