// SPDX-License-Identifier: Apache-2.0
//
// libclang, loaded when it is wanted: who does not read sources need not have it.
//
// Thread safety: immutable once loaded.
#pragma once

#include <clang-c/Index.h>

#include <string>

#include "stmemu/result.h"

namespace auxin::analysis::reader {

// libclang's functions that are used, each under its own name without "clang_".
#define AUXIN_LIBCLANG_FUNCTIONS(USE)                                                             \
  USE(createIndex) USE(disposeIndex) USE(parseTranslationUnit2FullArgv)                           \
  USE(disposeTranslationUnit) USE(getTranslationUnitCursor) USE(visitChildren)                    \
  USE(getNumDiagnostics) USE(getDiagnostic) USE(disposeDiagnostic) USE(getDiagnosticSeverity)     \
  USE(formatDiagnostic) USE(getCString) USE(disposeString) USE(disposeStringSet)                  \
  USE(getCursorKind) USE(getCursorSpelling) USE(getCursorUSR) USE(getCursorLocation)              \
  USE(getCursorSemanticParent) USE(getCursorReferenced) USE(getCursorDefinition)                  \
  USE(isCursorDefinition) USE(isInvalid) USE(Cursor_isNull) USE(equalCursors)                     \
  USE(getSpecializedCursorTemplate) USE(getCursorType) USE(getCanonicalType)                      \
  USE(getTypeSpelling) USE(getTypeDeclaration) USE(Cursor_getMangling)                            \
  USE(Cursor_getCXXManglings) USE(CXXMethod_isVirtual) USE(Cursor_isDynamicCall)                  \
  USE(getOverriddenCursors) USE(disposeOverriddenCursors) USE(Location_isInSystemHeader)          \
  USE(getExpansionLocation) USE(getFileName) USE(Cursor_getNumArguments) USE(Cursor_isAnonymous)  \
  USE(getCursorLexicalParent)

struct Libclang {
#define AUXIN_LIBCLANG_MEMBER(name) decltype(&::clang_##name) name = nullptr;
  AUXIN_LIBCLANG_FUNCTIONS(AUXIN_LIBCLANG_MEMBER)
#undef AUXIN_LIBCLANG_MEMBER

  // From the library that the environment variable AUXIN_LIBCLANG names, or the one that the build
  // found, or another version of it. An error says which package has it.
  static Result<Libclang> load();

  std::string text(CXString string) const;  // and frees it
};

}  // namespace auxin::analysis::reader
