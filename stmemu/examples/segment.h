// SPDX-License-Identifier: Apache-2.0
//
// The stable segment of paper 001, §4.1: a class that knows nothing of how stable memory works.
#pragma once

#include "auxin/stm.h"

const int page_size = 1024;
typedef char Page[page_size]; /* page type */

class Segment : public auxin::stm::Stable {
  static const int segment_size = 10 * page_size; /* 10 K bytes */
  char S[segment_size];                           /* the segment: an array of characters */

 public:
  void read_page(int no_page, Page& page) /* read a page */
  {
    int offset = (no_page * page_size) % segment_size; /* offset in the segment */
    for (int i = 0; i < page_size; i++) page[i] = S[i + offset];
  }
  void write_page(int no_page, const Page page) /* write a page */
  {
    int offset = (no_page * page_size) % segment_size; /* offset in the segment */
    for (int i = 0; i < page_size; i++) S[i + offset] = page[i];
  }
};
