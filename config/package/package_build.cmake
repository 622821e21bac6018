# Read by cpack before it installs: with Ninja it would take what is there, and fail if that is not all.
list(GET CPACK_BUILD_SOURCE_DIRS 1 build)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${build} RESULT_VARIABLE failed)
if(failed)
    message(FATAL_ERROR "the build failed")
endif()
