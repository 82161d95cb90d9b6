// SPDX-License-Identifier: Apache-2.0
//
// The programming example of paper 001, §4.1: a stable segment is made, and page 0 is moved to
// page 1 in one transaction.
//
//   stm_segment FILE     (a memory made by `auxin stm create FILE`)
//
// The paper's text stands between the two lines; around it, a memory is opened, and the segment is
// kept under a name so that the next run finds it.
#include <cstdio>
#include <cstring>

#include "segment.h"

using auxin::stm::Memory;
using auxin::stm::stable_ptr;
using auxin::stm::Transaction;

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: stm_segment FILE\n");
    return 2;
  }
  try {
    Memory memory = Memory::open(argv[1]);

    // ---------------------------------------------------------------------------------
    Transaction T;   /* transaction which manipulates a stable segment */
    Segment* s;      /* pointer to a stable segment */
    Page page;       /* a volatile page */

    /* atomic creation of the stable segment */
    T.Begin(); s = new Segment(); T.Commit();

    T.Begin();       /* atomic move of page 0 to page 1 */
    s->Open();
    s->read_page(0, page);
    s->write_page(1, page);
    s->Close();
    T.Commit();
    // ---------------------------------------------------------------------------------

    auxin::stm::atomically(memory, [&](Transaction& t) {
      s->Open();
      Page text = "written by stm_segment";
      s->write_page(0, text);
      const stable_ptr<Segment> before = t.root<Segment>("segment");
      t.set_root("segment", stable_ptr<Segment>(s));
      if (before) {
        auto old = t.open<Segment>(before);
        old->read_page(0, page);
        printf("the segment of the last run says: %s\n", page);
        old.destroy();
      }
    });
    printf("a segment is at %#lx\n", static_cast<unsigned long>(
        auxin::stm::atomically(memory, [](Transaction& t) {
          return t.root<Segment>("segment").address();
        })));
    return 0;
  } catch (const auxin::stm::Failure& failure) {
    fprintf(stderr, "stm_segment: %s\n", failure.what());
    return 1;
  }
}
