# What `cmake --install` puts in place, and the .deb that `cpack` makes of it.
#
#     bin/sheaf, bin/sheaf-bench
#     share/man/man1/sheaf.1.gz, share/man/man1/sheaf-bench.1.gz, share/man/man5/sheaf.ini.5.gz
#     share/doc/sheaf/examples/sheaf.ini, share/doc/sheaf/copyright, share/doc/sheaf/changelog.gz
#     share/bash-completion/completions/sheaf
#     lib/systemd/system/sheaf.service, lib/sysusers.d/sheaf.conf: the user that it runs as
#
# The .deb adds /etc/sheaf/sheaf.ini, which stays the operator's own.

include(GNUInstallDirs)

if(NOT TARGET sheaf)
    return()
endif()

install(TARGETS sheaf RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(TARGET sheaf-bench)
    install(TARGETS sheaf-bench RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

# compressed(FILE DESTINATION): installs a file of the build folder, gzipped as Debian wants it.
function(compressed file destination)
    get_filename_component(name ${file} NAME)
    set(packed ${PROJECT_BINARY_DIR}/packed/${name}.gz)
    add_custom_command(OUTPUT ${packed} COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/packed
        COMMAND gzip -9nc ${file} > ${packed} DEPENDS ${file} VERBATIM)
    add_custom_target(pack_${name} ALL DEPENDS ${packed})
    install(FILES ${packed} DESTINATION ${destination})
endfunction()

# The options in sheaf.ini.5 come from the program's own tables (`sheaf check --document`), all of
# sheaf-bench.1 from its help.
if(NOT SHEAF_SANITIZE)
    set(page ${PROJECT_BINARY_DIR}/sheaf.ini.5)
    add_custom_command(OUTPUT ${page}
        COMMAND ${CMAKE_COMMAND} -DSHEAF=$<TARGET_FILE:sheaf> -DTEMPLATE=${CMAKE_CURRENT_LIST_DIR}/sheaf.ini.5.in
            -DPAGE=${page} -DVERSION=${PROJECT_VERSION} -P ${CMAKE_CURRENT_LIST_DIR}/man_page.cmake
        DEPENDS sheaf ${CMAKE_CURRENT_LIST_DIR}/sheaf.ini.5.in ${CMAKE_CURRENT_LIST_DIR}/man_page.cmake
        VERBATIM)
    compressed(${page} ${CMAKE_INSTALL_MANDIR}/man5)
    set(page ${PROJECT_BINARY_DIR}/sheaf-bench.1)
    add_custom_command(OUTPUT ${page}
        COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:sheaf-bench>
            -DTEMPLATE=${CMAKE_CURRENT_LIST_DIR}/sheaf-bench.1.in -DPAGE=${page} -DVERSION=${PROJECT_VERSION}
            -P ${CMAKE_CURRENT_LIST_DIR}/man_page_of_help.cmake
        DEPENDS sheaf-bench ${CMAKE_CURRENT_LIST_DIR}/sheaf-bench.1.in
            ${CMAKE_CURRENT_LIST_DIR}/man_page_of_help.cmake
        VERBATIM)
    compressed(${page} ${CMAKE_INSTALL_MANDIR}/man1)
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/sheaf.1.in ${PROJECT_BINARY_DIR}/sheaf.1 @ONLY)
compressed(${PROJECT_BINARY_DIR}/sheaf.1 ${CMAKE_INSTALL_MANDIR}/man1)
configure_file(${CMAKE_CURRENT_LIST_DIR}/changelog.in ${PROJECT_BINARY_DIR}/changelog @ONLY)
compressed(${PROJECT_BINARY_DIR}/changelog ${CMAKE_INSTALL_DATADIR}/doc/sheaf)

install(FILES ${PROJECT_SOURCE_DIR}/config/example.ini OPTIONAL
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/sheaf/examples RENAME sheaf.ini)
install(FILES ${PROJECT_SOURCE_DIR}/config/example-stalwart.ini
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/sheaf/examples RENAME stalwart.ini)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/sheaf.service DESTINATION lib/systemd/system)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/completion.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
    RENAME sheaf)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/sysusers.conf DESTINATION lib/sysusers.d RENAME sheaf.conf)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/sheaf)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/sheaf.ini DESTINATION /etc/sheaf
    PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ COMPONENT etc EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sheaf)
set(CPACK_PACKAGE_CONTACT "The Sheaf developers <sheaf@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DESCRIPTION "A program that speaks to one Redis, memcached, PostgreSQL or S3 server speaks
to Sheaf instead, unchanged: keys and objects are spread over many servers,
or kept in Sheaf's own memory and files; writes of SQL go to the primary,
reads to replicas that are fresh enough.")
set(CPACK_INSTALL_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/package_build.cmake)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL Unspecified etc)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "redis-server")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${CMAKE_CURRENT_LIST_DIR}/conffiles ${CMAKE_CURRENT_LIST_DIR}/postinst
    ${CMAKE_CURRENT_LIST_DIR}/prerm ${CMAKE_CURRENT_LIST_DIR}/postrm)
include(CPack)
