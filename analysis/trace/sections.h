// SPDX-License-Identifier: Apache-2.0
//
// The sections of a trace file: what FORMAT.md says, for the writer and the reader alike.
//
// Thread safety: objects of one thread.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "stmemu/result.h"

namespace auxin::analysis {

inline constexpr char kTraceMagic[8] = {'A', 'U', 'X', 'T', 'R', 'C', '1', '\0'};
inline constexpr uint32_t kTraceVersion = 1;
inline constexpr uint32_t kMaxSectionBytes = 16u << 20;

enum class SectionKind : uint32_t {
  kDescription = 1, kCalls, kJoinPoints, kThreads, kModules, kPaths, kStrings, kEvents, kNames,
  kSites, kEnd, kUses
};

// The content of a section while it is put together.
class Content {
 public:
  template <class Value>
  void put(Value value) {
    static_assert(std::is_trivially_copyable_v<Value>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put_bytes(std::string_view bytes) { bytes_ += bytes; }
  // With its size before it, in a word of the type; longer texts are cut.
  template <class Size>
  void put_text(std::string_view text) {
    text = text.substr(0, static_cast<Size>(~Size{0}));
    put(static_cast<Size>(text.size()));
    put_bytes(text);
  }
  const std::string& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }

 private:
  std::string bytes_;
};

// Reads a content piece by piece and never beyond its end: ok() is false once something was cut.
class Contents {
 public:
  explicit Contents(std::string_view bytes) : rest_(bytes) {}
  template <class Value>
  Value take() {
    static_assert(std::is_trivially_copyable_v<Value>);
    Value value{};
    if (rest_.size() < sizeof value) {
      ok_ = false;
      rest_ = {};
    } else {
      memcpy(&value, rest_.data(), sizeof value);
      rest_.remove_prefix(sizeof value);
    }
    return value;
  }
  std::string_view take_bytes(size_t size) {
    if (rest_.size() < size) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }
  template <class Size>
  std::string_view take_text() {
    return take_bytes(take<Size>());
  }
  bool empty() const { return rest_.empty(); }
  bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

class SectionWriter {
 public:
  // Makes the file (0600); one that is there is replaced. Errors come with the path.
  static Result<SectionWriter> create(const std::string& path);
  // After the first failure nothing is written any more and error() says why.
  void write(SectionKind kind, const Content& content);
  // Everything is with the kernel.
  void flush();
  const std::string& error() const { return error_; }
  uint64_t size_bytes() const { return size_bytes_; }

 private:
  struct Close {
    void operator()(FILE* file) const { fclose(file); }
  };
  std::unique_ptr<FILE, Close> file_;
  std::string path_, error_;
  std::vector<char> compressed_;
  uint64_t size_bytes_ = 0;
};

class SectionReader {
 public:
  // An error where the file can't be read or is no trace of this version.
  static Result<SectionReader> open(const std::string& path);

  enum class Next { kSection, kEnd, kDamaged };
  // The next section; kDamaged: it is cut off or its checksum is wrong, and nothing after it can be
  // read.
  Next next(SectionKind* kind, std::string* content);
  uint64_t position() const { return position_; }  // of the section read last

 private:
  struct Close {
    void operator()(FILE* file) const { fclose(file); }
  };
  std::unique_ptr<FILE, Close> file_;
  std::vector<char> stored_;
  uint64_t position_ = 0, next_position_ = 0;
};

}  // namespace auxin::analysis
