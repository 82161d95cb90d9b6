// SPDX-License-Identifier: Apache-2.0
//
// An object of the preload that lives until the process is gone. exit() destroys what the C++
// runtime knows of while other threads go on; this it does not know of.
//
//   static NeverDestroyed<Recorder> instance;   // in a function: made at its first call
//   return *instance;
//
// Thread safety: T's own.
#pragma once

#include <new>
#include <type_traits>
#include <utility>

namespace auxin::os {

template <class T>
class NeverDestroyed {
 public:
  template <class... Arguments>
  explicit NeverDestroyed(Arguments&&... arguments) {
    new (storage_) T(std::forward<Arguments>(arguments)...);
  }
  NeverDestroyed(const NeverDestroyed&) = delete;
  NeverDestroyed& operator=(const NeverDestroyed&) = delete;

  T& operator*() { return *std::launder(reinterpret_cast<T*>(storage_)); }
  T* operator->() { return &**this; }

 private:
  alignas(T) unsigned char storage_[sizeof(T)];
};

static_assert(std::is_trivially_destructible_v<NeverDestroyed<struct Incomplete*>>);

}  // namespace auxin::os
