// Compiles the rest of a file for an instruction set that the processor is asked for at run time.
// Standard headers must come first: their inline functions may be shared with other files.
#pragma once

#define OB_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define OB_TARGET_BEGIN(features) \
  OB_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define OB_TARGET_END OB_PRAGMA(clang attribute pop)
#else
#define OB_TARGET_BEGIN(features) OB_PRAGMA(GCC push_options) OB_PRAGMA(GCC target(features))
#define OB_TARGET_END OB_PRAGMA(GCC pop_options)
#endif
