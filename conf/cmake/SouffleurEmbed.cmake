# Files inside the program: the page at / has to work without a folder beside it.

# souffleur_embed(TARGET FUNCTION NAME=FILE...) adds to TARGET a source that defines
# std::span<const souffleur::embedded_file> souffleur::FUNCTION(), which has each FILE's bytes under its NAME.
function(souffleur_embed target function)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${function}.cpp)
  set(bytes "")
  set(symbols "")
  set(entries "")
  set(files "")
  set(n 0)
  foreach(pair ${ARGN})
    string(REGEX MATCH "^([^=]+)=(.+)$" matched "${pair}")
    set(symbol ${function}_${n})
    string(APPEND bytes ".globl ${symbol}\n.hidden ${symbol}\n${symbol}:\n.incbin \"${CMAKE_MATCH_2}\"\n"
                        ".globl ${symbol}_end\n.hidden ${symbol}_end\n${symbol}_end:\n.byte 0\n")
    string(APPEND symbols "extern const char ${symbol}[], ${symbol}_end[];\n")
    string(APPEND entries "    {\"${CMAKE_MATCH_1}\", {${symbol}, static_cast<std::size_t>(${symbol}_end - ${symbol})}},\n")
    list(APPEND files ${CMAKE_MATCH_2})
    math(EXPR n "${n} + 1")
  endforeach()
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT [[// Made by conf/cmake/SouffleurEmbed.cmake.
#include "net/embedded_file.hpp"

asm(R"(
.pushsection .rodata
@bytes@.popsection
)");

extern "C" {
@symbols@}

namespace souffleur {

std::span<const embedded_file> @function@() {
  static const embedded_file files[] = {
@entries@  };
  return files;
}

} // namespace souffleur
]])
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS "${files}")
  target_sources(${target} PRIVATE ${source})
endfunction()
