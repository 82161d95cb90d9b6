// SPDX-License-Identifier: Apache-2.0
#include "libmeta_os/raw_system_calls.h"

#include <string.h>

namespace auxin::os {
namespace {

constexpr uint32_t kMostNumber = 1024;       // of a system call
constexpr size_t kLookBackBytes = 96;        // to the load before a call of syscall(3)
constexpr size_t kLookBackInlineBytes = 48;  // to the one before the instruction
constexpr size_t kMaxEntries = 16;

struct Code {
  const uint8_t* begin;
  const uint8_t* end;
};

uint32_t word_at(const uint8_t* at) {
  uint32_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

// Where the 32-bit displacement at `at`, the last part of an instruction, leads.
const uint8_t* target_of(const uint8_t* at) {
  return at + 4 + static_cast<int32_t>(word_at(at));
}

// The constant that is loaded last before `at` into the register whose loads begin with `load`
// (mov $constant, %e…) or with 48 c7 `load_wide` (mov $constant, %r…); kMostNumber: none.
uint32_t loaded_before(const Code& code, const uint8_t* at, size_t most_bytes, uint8_t load,
                       uint8_t load_wide) {
  const auto before = static_cast<size_t>(at - code.begin);
  const uint8_t* const limit = at - (before < most_bytes ? before : most_bytes);
  for (const uint8_t* load_at = at - 5; load_at >= limit; --load_at) {
    const bool wide = load_at[0] == load_wide && load_at - 2 >= limit && load_at[-1] == 0xc7 &&
                      load_at[-2] == 0x48;
    if (load_at[0] != load && !wide) continue;
    const uint32_t number = word_at(load_at + 1);
    if (number < kMostNumber) return number;
  }
  return kMostNumber;
}

// The words that hold the address of syscall(3) in this module, and the linkage code that jumps
// through one of them.
struct Entries {
  const uint8_t* words[kMaxEntries];
  size_t word_count = 0;
  const uint8_t* stubs[kMaxEntries];
  size_t stub_count = 0;

  bool is_word(const uint8_t* address) const {
    for (size_t i = 0; i < word_count; ++i) {
      if (words[i] == address) return true;
    }
    return false;
  }
  bool is_stub(const uint8_t* address) const {
    for (size_t i = 0; i < stub_count; ++i) {
      // Before the jump there may be a prefix (f2), an endbr64 (4 bytes), or both.
      const ptrdiff_t ahead = stubs[i] - address;
      if (ahead == 0 || ahead == 1 || ahead == 4 || ahead == 5) return true;
    }
    return false;
  }
};

void find_word(const markers::FunctionReference& reference, void* context) {
  auto& entries = *static_cast<Entries*>(context);
  if (reference.symbol == nullptr || strcmp(reference.symbol, "syscall") != 0) return;
  if (entries.word_count == kMaxEntries) return;
  entries.words[entries.word_count++] = reinterpret_cast<const uint8_t*>(reference.word);
}

void find_stubs(const Code& code, Entries& entries) {
  for (const uint8_t* at = code.begin; at + 6 <= code.end; ++at) {
    at = static_cast<const uint8_t*>(memchr(at, 0xff, static_cast<size_t>(code.end - at - 5)));
    if (at == nullptr) return;
    if (at[1] == 0x25 && entries.is_word(target_of(at + 2)) && entries.stub_count < kMaxEntries) {
      entries.stubs[entries.stub_count++] = at;
    }
  }
}

using Visit = void (*)(uint32_t, void*);

void visit_function_calls(const Code& code, const Entries& entries, Visit visit, void* context) {
  for (const uint8_t* at = code.begin; at + 6 <= code.end; ++at) {
    const bool direct = (at[0] == 0xe8 || at[0] == 0xe9) && entries.is_stub(target_of(at + 1));
    const bool through_word = at[0] == 0xff && (at[1] == 0x15 || at[1] == 0x25) &&
                              entries.is_word(target_of(at + 2));
    if (!direct && !through_word) continue;
    const uint32_t number = loaded_before(code, at, kLookBackBytes, 0xbf, 0xc7);
    if (number < kMostNumber) visit(number, context);
  }
}

void visit_instructions(const Code& code, Visit visit, void* context) {
  for (const uint8_t* at = code.begin; at + 2 <= code.end; ++at) {
    at = static_cast<const uint8_t*>(memchr(at, 0x0f, static_cast<size_t>(code.end - at - 1)));
    if (at == nullptr) return;
    if (at[1] != 0x05) continue;
    const uint32_t number = loaded_before(code, at, kLookBackInlineBytes, 0xb8, 0xc0);
    if (number < kMostNumber) visit(number, context);
  }
}

}  // namespace

void for_each_raw_system_call(const markers::ElfModule& module, Visit visit, void* context) {
  Entries entries;
  for_each_function_reference(module, find_word, &entries);
  const auto each_code = [&](auto&& look) {
    for (size_t i = 0; i < module.header_count; ++i) {
      const Elf64_Phdr& header = module.headers[i];
      constexpr uint32_t kReadableCode = PF_X | PF_R;
      if (header.p_type != PT_LOAD || (header.p_flags & kReadableCode) != kReadableCode) continue;
      const auto* begin = reinterpret_cast<const uint8_t*>(module.base + header.p_vaddr);
      look(Code{begin, begin + header.p_filesz});
    }
  };
  if (entries.word_count > 0) {
    each_code([&](const Code& code) { find_stubs(code, entries); });
    each_code([&](const Code& code) { visit_function_calls(code, entries, visit, context); });
  }
  each_code([&](const Code& code) { visit_instructions(code, visit, context); });
}

}  // namespace auxin::os
