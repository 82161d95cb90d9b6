// SPDX-License-Identifier: Apache-2.0
//
// What the compiler and the shared code expect of a C library, for a program that has none.
#include "checkpoint/process/restorer/freestanding.h"

extern "C" {

void* memcpy(void* to, const void* from, size_t size) {
  void* result = to;
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
  return result;
}

void* memmove(void* to, const void* from, size_t size) {
  if (to <= from || static_cast<char*>(to) >= static_cast<const char*>(from) + size)
    return memcpy(to, from, size);
  auto* out = static_cast<char*>(to) + size - 1;
  const auto* in = static_cast<const char*>(from) + size - 1;
  asm volatile("std\n rep movsb\n cld" : "+D"(out), "+S"(in), "+c"(size) : : "memory");
  return to;
}

void* memset(void* to, int byte, size_t size) {
  void* at = to;
  asm volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(byte) : "memory");
  return to;
}

int memcmp(const void* a, const void* b, size_t size) {
  const auto* left = static_cast<const unsigned char*>(a);
  const auto* right = static_cast<const unsigned char*>(b);
  for (size_t i = 0; i < size; ++i)
    if (left[i] != right[i]) return left[i] < right[i] ? -1 : 1;
  return 0;
}

void* memchr(const void* memory, int byte, size_t size) {
  const auto* at = static_cast<const unsigned char*>(memory);
  for (size_t i = 0; i < size; ++i)
    if (at[i] == static_cast<unsigned char>(byte)) return const_cast<unsigned char*>(at + i);
  return nullptr;
}

size_t strlen(const char* text) {
  size_t length = 0;
  while (text[length] != '\0') ++length;
  return length;
}

char* strrchr(const char* text, int byte) {
  const char* found = nullptr;
  for (;; ++text) {
    if (*text == static_cast<char>(byte)) found = text;
    if (*text == '\0') return const_cast<char*>(found);
  }
}

int strcmp(const char* a, const char* b) {
  for (; *a != '\0' && *a == *b; ++a, ++b) {}
  return static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
}

int strncmp(const char* a, const char* b, size_t size) {
  for (; size > 0 && *a != '\0' && *a == *b; ++a, ++b, --size) {}
  return size == 0 ? 0 : static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
}

}  // extern "C"

namespace auxin::restorer {

using os::raw_syscall;

void say(std::initializer_list<const char*> parts) {
  char line[1024] = "auxin-restore: ";
  size_t length = strlen(line);
  for (const char* part : parts)
    for (; *part != '\0' && length + 1 < sizeof line; ++part) line[length++] = *part;
  line[length++] = '\n';
  raw_syscall(SYS_write, 2, reinterpret_cast<long>(line), static_cast<long>(length));
}

void end(Exit code) {
  raw_syscall(SYS_exit_group, static_cast<long>(code));
  for (;;) {}
}

void failed(const char* what, long result) {
  char number[24];
  say({what, ": error ", decimal(static_cast<uint64_t>(-result), number)});
  end(Exit::kFailed);
}

const char* decimal(uint64_t number, char (&buffer)[24]) {
  char* at = buffer + sizeof buffer - 1;
  *at = '\0';
  do *--at = static_cast<char>('0' + number % 10);
  while ((number /= 10) != 0);
  return at;
}

}  // namespace auxin::restorer
