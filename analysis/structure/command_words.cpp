// SPDX-License-Identifier: Apache-2.0
#include "analysis/structure/command_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <optional>
#include <regex>

namespace auxin::analysis {
namespace {

namespace fs = std::filesystem;

constexpr int kMostNestedResponseFiles = 8;
constexpr size_t kMostWords = 100'000;
constexpr uintmax_t kMostResponseBytes = 16 << 20;

// Options that decide what a source means. Everything else that begins with '-' is left out: what
// it makes of the code, where it puts it, what it warns of; other compilers' own options would only
// be refused.
struct Kept {
  std::string_view option;
  bool prefix;    // more may follow in the same word
  bool separate;  // if nothing does: the next word belongs to it
};
constexpr Kept kKept[] = {
    {"-I", true, true},         {"-isystem", true, true},   {"-iquote", true, true},
    {"-idirafter", true, true}, {"-iprefix", true, true},   {"-iwithprefix", true, true},
    {"-include", false, true},  {"-imacros", false, true},  {"-isysroot", true, true},
    {"--sysroot=", true, false}, {"--sysroot", false, true}, {"-D", true, true},
    {"-U", true, true},         {"-x", true, true},         {"-std=", true, false},
    {"--std=", true, false},    {"-ansi", false, false},    {"-nostdinc", true, false},
    {"-undef", false, false},   {"-pthread", false, false}, {"-m32", false, false},
    {"-m64", false, false},     {"-mx32", false, false},    {"-march=", true, false},
    {"-msse", true, false},     {"-mavx", true, false},     {"-mfma", true, false},
    {"-mbmi", true, false},     {"-mpopcnt", false, false}, {"-maes", false, false},
    {"-O", true, false},        {"-stdlib=", true, false},  {"--target=", true, false},
    {"-target", false, true},   {"-fopenmp", false, false}, {"-fno-exceptions", false, false},
    {"-fno-rtti", false, false}, {"-fchar8_t", false, false},
    {"-fno-char8_t", false, false}, {"-fsigned-char", false, false},
    {"-funsigned-char", false, false}, {"-fshort-wchar", false, false},
    {"-fno-access-control", false, false}, {"-ftemplate-depth=", true, false},
    {"-fms-extensions", false, false}, {"-ffreestanding", false, false},
    {"-fno-builtin", true, false}, {"-fblocks", false, false},
};

// Left out together with the word behind them.
constexpr std::string_view kLeftOutWithNext[] = {
    "-o",  "-MF", "-MT", "-MQ", "-MJ", "--param", "-Xlinker", "-Xassembler", "-Xpreprocessor",
    "-Xclang", "-L", "-l", "-T", "-u", "-z", "-aux-info", "-dumpbase", "-dumpdir", "-wrapper",
    "-arch", "-B", "-include-pch", "--serialize-diagnostics", "-mllvm", "-framework", "-e", "-h"};

bool is_compiler(const std::string& word) {
  static const std::regex kCompiler(
      R"((.*-)?(c\+\+|g\+\+|gcc|cc|clang|clang\+\+|clang-cpp|icc|icpc|icx|icpx)(-[0-9.]+)?)");
  return std::regex_match(fs::path(word).filename().string(), kCompiler);
}

// The index of the compiler. Before it may stand words that start it.
size_t compiler_index(const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (is_compiler(words[i])) return i;
    if (words[i].starts_with("-") && i > 0 && !words[0].ends_with("env")) break;
  }
  return 0;
}

class Reading {
 public:
  explicit Reading(const fs::path& directory) : directory_(directory) {}

  // The words with response files in place of their names.
  void expand(const std::vector<std::string>& words, size_t from, int depth) {
    for (size_t i = from; i < words.size(); ++i) {
      if (expanded_.size() >= kMostWords) {
        remark(fmt::format("a command has more than {} words; the rest is left out", kMostWords));
        return;
      }
      if (words[i].size() < 2 || words[i][0] != '@') {
        expanded_.push_back(words[i]);
        continue;
      }
      if (depth == kMostNestedResponseFiles) {
        remark(fmt::format("{}: response files stand in one another more than {} deep", words[i],
                           kMostNestedResponseFiles));
        continue;
      }
      if (auto text = response(words[i].substr(1))) expand(words_of_command(*text), 0, depth + 1);
    }
  }

  std::vector<std::string> kept() const {
    std::vector<std::string> arguments;
    for (size_t i = 0; i < expanded_.size(); ++i) {
      const std::string& word = expanded_[i];
      if (!word.starts_with("-")) continue;  // an input: the unit is named otherwise
      if (std::find(std::begin(kLeftOutWithNext), std::end(kLeftOutWithNext), word) !=
          std::end(kLeftOutWithNext)) {
        ++i;
        continue;
      }
      const Kept* option = kept_as(word);
      if (option == nullptr) continue;
      arguments.push_back(word);
      if (option->separate && word == option->option && i + 1 < expanded_.size()) {
        arguments.push_back(expanded_[++i]);
      }
    }
    return arguments;
  }

  std::vector<std::string> remarks;

 private:
  void remark(std::string sentence) { remarks.push_back(std::move(sentence)); }

  std::optional<std::string> response(const std::string& name) {
    const fs::path path = directory_ / name;
    std::error_code error;
    const uintmax_t size = fs::file_size(path, error);
    std::ifstream file(path);
    if (error || !file || size > kMostResponseBytes) {
      remark(fmt::format("the response file {} cannot be read; its options are missing",
                         path.string()));
      return std::nullopt;
    }
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  static const Kept* kept_as(const std::string& word) {
    const Kept* best = nullptr;
    for (const Kept& each : kKept) {
      const bool fits = each.prefix ? word.starts_with(each.option) : word == each.option;
      if (fits && (best == nullptr || each.option.size() > best->option.size())) best = &each;
    }
    return best;
  }

  const fs::path& directory_;
  std::vector<std::string> expanded_;
};

}  // namespace

std::vector<std::string> words_of_command(std::string_view command) {
  std::vector<std::string> words;
  bool in_word = false;
  char quote = '\0';
  const auto add = [&](char c) {
    if (!in_word) words.emplace_back();
    in_word = true;
    words.back() += c;
  };
  for (size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    if (quote == '\0' && std::isspace(static_cast<unsigned char>(c)) != 0) {
      in_word = false;
    } else if (quote == '\0' && (c == '\'' || c == '"')) {
      quote = c;
      if (!in_word) words.emplace_back();
      in_word = true;  // '' is a word
    } else if (c == quote) {
      quote = '\0';
    } else if (c == '\\' && quote != '\'' && i + 1 < command.size() &&
               (quote == '\0' || command[i + 1] == '"' || command[i + 1] == '\\' ||
                command[i + 1] == '$' || command[i + 1] == '`')) {
      add(command[++i]);
    } else {
      add(c);
    }
  }
  return words;
}

ReadingCommand reading_command(const std::vector<std::string>& words, const fs::path& directory) {
  ReadingCommand command;
  if (words.empty()) return command;
  const size_t compiler = compiler_index(words);
  const std::string name = fs::path(words[compiler]).filename().string();
  command.cpp_driver = name.find("++") != name.npos;
  Reading reading(directory);
  reading.expand(words, compiler + 1, 0);
  command.arguments = reading.kept();
  command.remarks = std::move(reading.remarks);
  return command;
}

}  // namespace auxin::analysis
