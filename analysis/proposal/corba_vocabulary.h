// SPDX-License-Identifier: Apache-2.0
//
// The operations of the CORBA standard whose order can show in replies, by their names there. An
// ORB's own names for its classes are its own business; the operations' are not. (CORBA 3, part 1,
// chapter 15: The Portable Object Adapter.)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace auxin::analysis {

enum class Meaning : uint8_t {
  kNone,          // the standard does not name it
  kObjectTable,   // hands out object ids, or says what is active: the order of such calls shows
  kAdapterTree,   // makes an adapter under a name
  kNoOrder,       // counts references, converts or asks for what does not change
  kBlocks,        // may wait for requests or run application code: can't be ordered as a section
};

// `operation`: the function's own name, without classes and arguments.
Meaning meaning_of(std::string_view operation);

// "omni::omniOrbPOA::activate_object(X*)": "activate_object" and "omni::omniOrbPOA".
std::string operation_of(const std::string& function);
std::string class_of_operation(const std::string& function);

}  // namespace auxin::analysis
