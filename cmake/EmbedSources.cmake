# SPDX-License-Identifier: Apache-2.0
# Makes one C++ file of text files, so that a program carries them:
#
#   cmake -DOUTPUT=sources.cpp -DNAMESPACE=auxin::cli -DFILES=a.css,b.js -P EmbedSources.cmake
#
# The table of names and texts is declared in cli/pages/sources.h.
string(REPLACE "," ";" files "${FILES}")
set(rows "")
foreach(file IN LISTS files)
  get_filename_component(name "${file}" NAME)
  file(READ "${file}" text)
  string(FIND "${text}" ")embedded\"" end_mark)
  if(NOT end_mark EQUAL -1)
    message(FATAL_ERROR "${file} holds the end of a raw string")
  endif()
  string(APPEND rows "    {\"${name}\", R\"embedded(${text})embedded\"},\n")
endforeach()
file(WRITE "${OUTPUT}"
  "// Made by cmake/EmbedSources.cmake.\n"
  "#include \"cli/pages/sources.h\"\n\n"
  "namespace ${NAMESPACE} {\n\n"
  "const std::span<const Source> kSources = [] {\n"
  "  static constexpr Source sources[] = {\n${rows}  };\n"
  "  return std::span<const Source>(sources);\n"
  "}();\n\n"
  "}  // namespace ${NAMESPACE}\n")
