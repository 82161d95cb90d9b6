// SPDX-License-Identifier: Apache-2.0
//
// The line that a failed CHECK writes, and the end of the process.
#include "stmemu/check.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

namespace auxin {
namespace {

// A line on the stack; what does not fit is cut, the newline always fits.
class Line {
 public:
  void add(const char* text) {
    for (; *text != '\0' && size_ < sizeof(text_) - 1; ++text) text_[size_++] = *text;
  }
  void add(int number) {
    char digits[16];
    size_t at = sizeof(digits);
    digits[--at] = '\0';
    unsigned rest = number < 0 ? 0 : static_cast<unsigned>(number);
    do digits[--at] = static_cast<char>('0' + rest % 10);
    while ((rest /= 10) != 0);
    add(digits + at);
  }
  // One write for the whole line, so that lines of several processes do not mix.
  void write_to(int descriptor) {
    text_[size_++] = '\n';
    for (size_t done = 0; done < size_;) {
      const long written = syscall(SYS_write, descriptor, text_ + done, size_ - done);
      if (written <= 0) return;
      done += static_cast<size_t>(written);
    }
  }

 private:
  char text_[512];
  size_t size_ = 0;
};

}  // namespace

void check_failed(const char* file, int line, const char* condition, const char* why) {
  Line text;
  text.add("auxin: CHECK failed at ");
  text.add(file);
  text.add(":");
  text.add(line);
  text.add(": ");
  text.add(condition);
  text.add(": ");
  text.add(why);
  text.write_to(2);
  abort();
}

}  // namespace auxin
