// SPDX-License-Identifier: Apache-2.0
#include "libmeta_os/call_rows.h"

#include <iterator>

namespace auxin::os {

const CallRow kCallRows[] = {
#define AUXIN_CALL(family, facet, result, name, parameters, version, note) \
  {#name, Family::family},
#define AUXIN_LIST_CALL(family, facet, result, name, parameters, note)
#define AUXIN_LEFT(family, name, reason)
#include "libmeta_os/hook_table.def"
#undef AUXIN_CALL
#undef AUXIN_LIST_CALL
#undef AUXIN_LEFT
};
const uint16_t kCallRowCount = static_cast<uint16_t>(std::size(kCallRows));

}  // namespace auxin::os
