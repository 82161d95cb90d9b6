// SPDX-License-Identifier: Apache-2.0
//
// The directory of roots: names for the objects from which a program finds all its others. It is
// itself stable objects, read and changed inside transactions like any other.
#pragma once

#include <string>

#include "stmemu/transaction/activation.h"

namespace auxin::stm {

inline constexpr size_t kLongestRootName = sizeof(CatalogueEntry::name) - 1;

// The same name may stand for something else in each space: a program's roots are in that of its
// realm, ports, tasks and memory objects in the ones of their kinds (ObjectKind).
using NameSpace = uint64_t;

// 0 in `reference` if there is none. A catalogue that others have open is waited for, for a moment.
Status read_root(Activation& activation, const std::string& name, uint64_t* reference,
                 NameSpace space = 0);
// `reference` 0 removes the name. The name has 1 to kLongestRootName bytes.
Status write_root(Activation& activation, const std::string& name, uint64_t reference,
                  NameSpace space = 0);
// Removes all names of a space.
Status erase_space(Activation& activation, NameSpace space);

}  // namespace auxin::stm
