// SPDX-License-Identifier: Apache-2.0
//
// auxin-structure DIRECTORY FILE c|c++ [ARGUMENT]...: reads one translation unit with libclang, as
// if it were compiled in DIRECTORY with these arguments, and writes its structure as JSON.
//
// A program of its own: the command needs no libclang, a source that makes it crash costs one unit,
// and several units are read at once. Exit status: 0 (what did not parse is among the JSON's
// failures), 2 refused: a sentence on standard error.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string_view>

#include "analysis/structure/reader/libclang.h"
#include "analysis/structure/reader/unit_visitor.h"
#include "analysis/structure/structure_json.h"

namespace {

using auxin::analysis::Structure;
using auxin::analysis::reader::Libclang;
using auxin::analysis::reader::UnitVisitor;

int refuse(const std::string& sentence) {
  fmt::print(stderr, "{}\n", sentence);
  return 2;
}

// The first error, and how many there are; "": none.
std::string errors_in(const Libclang& clang, CXTranslationUnit unit) {
  unsigned errors = 0;
  std::string first;
  for (unsigned i = 0; i < clang.getNumDiagnostics(unit); ++i) {
    CXDiagnostic diagnostic = clang.getDiagnostic(unit, i);
    if (clang.getDiagnosticSeverity(diagnostic) >= CXDiagnostic_Error && errors++ == 0) {
      first = clang.text(clang.formatDiagnostic(diagnostic, CXDiagnostic_DisplaySourceLocation));
    }
    clang.disposeDiagnostic(diagnostic);
  }
  if (errors == 0) return {};
  return fmt::format("{}{}; what could be read of it is taken", first,
                     errors > 1 ? fmt::format(" (and {} more errors)", errors - 1) : "");
}

int read_unit(const Libclang& clang, const std::string& file, bool cpp,
              const std::vector<std::string>& arguments) {
  std::vector<const char*> words = {cpp ? "clang++" : "clang", "-w"};
  for (const std::string& argument : arguments) words.push_back(argument.c_str());
  words.push_back(file.c_str());
  CXIndex index = clang.createIndex(0, 0);
  CXTranslationUnit unit = nullptr;
  const CXErrorCode code = clang.parseTranslationUnit2FullArgv(
      index, nullptr, words.data(), static_cast<int>(words.size()), nullptr, 0,
      CXTranslationUnit_KeepGoing | CXTranslationUnit_Incomplete, &unit);
  Structure structure;
  if (code != CXError_Success || unit == nullptr) {
    structure.failures.push_back(
        {file, "libclang refuses the command line or cannot open the file"});
  } else {
    structure = UnitVisitor(clang, unit).visit();
    std::string errors = errors_in(clang, unit);
    if (!errors.empty()) structure.failures.push_back({file, std::move(errors)});
  }
  using Json = nlohmann::ordered_json;
  const std::string text =
      auxin::analysis::to_json(structure).dump(-1, ' ', false, Json::error_handler_t::replace);
  if (fwrite(text.data(), 1, text.size(), stdout) != text.size() || fflush(stdout) != 0) {
    return refuse("the structure cannot be written");
  }
  _exit(0);  // libclang takes long to free what the kernel frees at once
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4 || (std::string_view(argv[3]) != "c" && std::string_view(argv[3]) != "c++")) {
    return refuse("usage: auxin-structure DIRECTORY FILE c|c++ [ARGUMENT]...");
  }
  std::error_code error;
  std::filesystem::current_path(argv[1], error);
  if (error) return refuse(fmt::format("{}: {}", argv[1], error.message()));
  auto clang = Libclang::load();
  if (!clang) return refuse(clang.error());
  return read_unit(*clang, argv[2], std::string_view(argv[3]) == "c++", {argv + 4, argv + argc});
}
